import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { quoted } from 'liftbridge-client/protocol';
import { BrokerOptionError } from '../option-error.js';
import type { StreamState } from './contract.js';
import { PartitionDirectories, sweepBroker } from './partition-directories.js';

const OPERATIONS = 'operations.log';
const LOCK = 'lock';
const CLUSTER = 'cluster.json';

// A process always sees itself as alive, so it has to recognise its own locks.
const held = new Set<string>();

/** The data directory of a cluster; one process at a time uses it. */
export class DataDir {
  readonly path: string;

  /**
   * Creates the directory if it is missing, and locks it. Throws BrokerOptionError when it is in use or not writable.
   */
  static open(path: string): DataDir {
    try {
      makeDirectories(resolve(path));
    } catch (error) {
      throw new BrokerOptionError('dataDir', path, `cannot use dataDir ${quoted(path)}: ${reason(error)}`, {
        cause: error,
      });
    }
    return new DataDir(realpathSync(path));
  }

  private constructor(path: string) {
    this.path = path;
    if (held.has(path)) throw inUse(path, process.pid);
    this.#lock();
    held.add(path);
  }

  /**
   * The ids of the brokers that wrote the data; they take precedence over the given ids. Throws BrokerOptionError when
   * there are fewer brokers now, because no broker would serve some of the data.
   */
  brokerIds(given: readonly string[]): readonly string[] {
    const known = this.#readIds();
    if (known.length > given.length) {
      const text = `dataDir ${quoted(this.path)} was written by ${known.length} brokers, got brokers: ${given.length}`;
      throw new BrokerOptionError('brokers', given.length, text);
    }
    const ids = [...known, ...given.slice(known.length)];
    if (ids.length > known.length) this.#writeIds(ids);
    return ids;
  }

  /** The file of the cluster's operations. */
  get operations(): string {
    return join(this.path, OPERATIONS);
  }

  /** The directories of the partitions of all brokers. */
  partitions(warn: (message: string) => void): PartitionDirectories {
    return new PartitionDirectories(this.path, warn);
  }

  /** Removes the files of streams that no broker knows any more: the process ended before it had deleted them. */
  sweep(nodes: Iterable<{ readonly id: string; streams(): Iterable<StreamState> }>): void {
    for (const node of nodes) sweepBroker(this.path, node.id, node.streams());
  }

  /** Releases the lock. */
  release(): void {
    if (!held.delete(this.path)) return;
    rmSync(join(this.path, LOCK), { force: true });
  }

  #readIds(): readonly string[] {
    const path = join(this.path, CLUSTER);
    try {
      return (JSON.parse(readFileSync(path, 'utf8')) as { brokers: string[] }).brokers;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new BrokerOptionError('dataDir', this.path, `cannot read ${quoted(path)}: ${reason(error)}`, {
        cause: error,
      });
    }
  }

  #writeIds(brokers: readonly string[]): void {
    const path = join(this.path, CLUSTER);
    writeFileSync(`${path}.tmp`, `${JSON.stringify({ brokers })}\n`);
    renameSync(`${path}.tmp`, path);
  }

  #lock(): void {
    const path = join(this.path, LOCK);
    // The second attempt follows the removal of a lock that a killed process left behind.
    for (const attempt of [1, 2]) {
      try {
        const file = openSync(path, 'wx');
        writeFileSync(file, String(process.pid));
        closeSync(file);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        const owner = Number(readFileSync(path, 'utf8'));
        if (attempt === 2 || isAlive(owner)) throw inUse(this.path, owner);
        rmSync(path, { force: true });
      }
    }
  }
}

/** Not Node's `recursive`, which retries endlessly where the system always returns ENOENT, as in /proc. */
function makeDirectories(path: string): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeDirectories(parent);
  mkdirSync(path, { recursive: existsSync(path) });
}

function isAlive(pid: number): boolean {
  // Our own process id in a lock that we do not hold belongs to an earlier process.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function inUse(path: string, pid: number): BrokerOptionError {
  return new BrokerOptionError('dataDir', path, `dataDir ${quoted(path)} is in use by process ${pid}`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
