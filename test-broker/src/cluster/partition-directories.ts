import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OpenFiles } from '../log/open-files.js';
import { PartitionStorage, partitionDirectory } from '../log/storage.js';
import type { StreamState } from './contract.js';

const PARTITIONS = 'partitions';

/** The partitions of all brokers below one data directory. */
export class PartitionDirectories {
  readonly #dataDir: string;
  readonly #files = new OpenFiles();
  readonly #warn: (message: string) => void;

  constructor(dataDir: string, warn: (message: string) => void) {
    this.#dataDir = dataDir;
    this.#warn = warn;
  }

  open(broker: string, stream: StreamState, partition: number): PartitionStorage {
    const directory = partitionDirectory(brokerDirectory(this.#dataDir, broker), incarnation(stream), partition);
    return new PartitionStorage({ directory, files: this.#files, onWarning: this.#warn });
  }

  close(): void {
    this.#files.closeAll();
  }
}

/** Removes the directories of a broker that belong to none of these streams. */
export function sweepBroker(dataDir: string, broker: string, streams: Iterable<StreamState>): void {
  const directory = brokerDirectory(dataDir, broker);
  const known = new Set(
    Array.from(streams, (stream) => basename(dirname(partitionDirectory(directory, incarnation(stream), 0)))),
  );
  for (const name of list(directory)) {
    if (!known.has(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function brokerDirectory(dataDir: string, broker: string): string {
  return join(dataDir, PARTITIONS, encodeURIComponent(broker));
}

/** A recreated stream shares no messages with the deleted one. */
function incarnation(stream: StreamState): string {
  return `${stream.name}#${stream.createdBy}`;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
