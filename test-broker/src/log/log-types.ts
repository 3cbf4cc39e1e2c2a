import type { Clock } from '../clock.js';
import type { ValueEncryption } from './encryption.js';
import type { LogHeader } from './frame.js';
import type { EpochStart } from './leader-epochs.js';
import type { LogConfig } from './log-config.js';
import type { LogRead } from './segment-list.js';
import type { PartitionStorage } from './storage.js';

/** `closed`: the partition is paused, or the broker has stopped. */
export type LogState = 'open' | 'closed' | 'deleted';

/** A change of a log, for its listeners. */
export type LogChange = 'high-watermark' | 'readonly' | 'closed' | 'reopened' | 'deleted';

export interface PartitionLogOptions {
  readonly stream: string;
  readonly partition: number;
  /** Missing values take the server's defaults. */
  readonly config?: Partial<LogConfig>;
  readonly clock: Clock;
  /** Keeps the log on disk and loads existing files. Default: memory only. */
  readonly storage?: PartitionStorage | null;
  /** Required when the configuration sets `encryption`. */
  readonly encryption?: ValueEncryption | null;
  /** Receives failures of disk operations without a caller. */
  readonly onWarning?: (message: string) => void;
  /** Whether loaded messages are committed up to the last checkpoint only. Default false: all are committed. */
  readonly checkpointed?: boolean;
  /** Faults of the server to reproduce, each true by default. */
  readonly quirks?: { readonly timestampLookup?: boolean };
}

/** A message to append. */
export interface LogEntry {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: Iterable<LogHeader>;
  readonly subject: string;
  readonly reply: string;
  /** The current time, in nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** Checked by a log with concurrency control; -1 accepts any offset. */
  readonly expectedOffset: bigint;
  readonly leaderEpoch: number | bigint;
}

/** Messages for another replica. */
export interface LogSlice extends LogRead {
  readonly epochs: readonly EpochStart[];
}
