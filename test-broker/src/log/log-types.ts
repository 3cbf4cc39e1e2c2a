import type { Clock } from '../clock.js';
import type { ValueEncryption } from './encryption.js';
import type { LogHeader } from './frame.js';
import type { EpochStart } from './leader-epochs.js';
import type { LogConfig } from './log-config.js';
import type { LogRead } from './segment-list.js';
import type { PartitionStorage } from './storage.js';

/** `closed` is a partition that is paused, or a broker that has stopped. */
export type LogState = 'open' | 'closed' | 'deleted';

/** What happened to a log, for those who wait on it. */
export type LogChange = 'high-watermark' | 'readonly' | 'closed' | 'reopened' | 'deleted';

export interface PartitionLogOptions {
  readonly stream: string;
  readonly partition: number;
  /** What is not given is the server's default. */
  readonly config?: Partial<LogConfig>;
  readonly clock: Clock;
  /** Keeps the log on disk, and brings back what is there. Default: memory only. */
  readonly storage?: PartitionStorage | null;
  /** Needed when the configuration says `encryption`. */
  readonly encryption?: ValueEncryption | null;
  /** Is called when an operation on disk fails that no caller waits for. */
  readonly onWarning?: (message: string) => void;
  /** What comes back from disk is committed up to the last checkpoint only. Default false: all of it. */
  readonly checkpointed?: boolean;
  /** Oddities of the server, each true by default. */
  readonly quirks?: { readonly timestampLookup?: boolean };
}

/** A message on its way into the log. */
export interface LogEntry {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: Iterable<LogHeader>;
  readonly subject: string;
  readonly reply: string;
  /** Now, in nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** Looked at by a log with concurrency control; -1 stands for any. */
  readonly expectedOffset: bigint;
  readonly leaderEpoch: number | bigint;
}

/** Messages on their way to another replica. */
export interface LogSlice extends LogRead {
  readonly epochs: readonly EpochStart[];
}
