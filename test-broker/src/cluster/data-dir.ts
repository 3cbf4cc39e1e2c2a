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

// A process knows itself as alive, so its own locks need to be known apart.
const held = new Set<string>();

/** The directory that a cluster keeps its data in, for one process at a time. */
export class DataDir {
  readonly path: string;

  /** Makes the directory if need be and locks it. Throws BrokerOptionError when it is in use or cannot be written to. */
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
   * The ids of the brokers: those that the data was written by, which win over the ones that are given. Throws
   * BrokerOptionError when there are fewer brokers now, as some of the data would have no broker to serve it.
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

  /** Where the brokers keep their partitions. */
  partitions(warn: (message: string) => void): PartitionDirectories {
    return new PartitionDirectories(this.path, warn);
  }

  /** Removes what is left of streams that no broker knows any more: the process ended before it was done with them. */
  sweep(nodes: Iterable<{ readonly id: string; streams(): Iterable<StreamState> }>): void {
    for (const node of nodes) sweepBroker(this.path, node.id, node.streams());
  }

  /** Lets others use it. */
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
    // The second attempt is for a lock that a process left behind when it was killed.
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

/** Not Node's `recursive`: that tries for ever where the system says ENOENT for good, as in /proc. */
function makeDirectories(path: string): void {
  const parent = dirname(path);
  if (parent !== path && !existsSync(parent)) makeDirectories(parent);
  mkdirSync(path, { recursive: existsSync(path) });
}

function isAlive(pid: number): boolean {
  // Our own id in a file that we do not hold is that of a process before us.
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
