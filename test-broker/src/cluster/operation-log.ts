import type { Operation } from './contract.js';

/** An operation with its index in the log of the cluster. */
export interface LoggedOperation {
  readonly index: bigint;
  readonly operation: Operation;
}

/** Stores committed operations beyond the end of the process. */
export interface OperationStore {
  append(entry: LoggedOperation): void;
}

/**
 * By default the server takes a snapshot of its metadata after this number of operations, and replays no more of them.
 */
const MAX_HISTORY = 8_192;

// Number of entries in the log of a fresh server before the first operation of a client.
const FIRST_INDEX = 3n;

/**
 * The committed operations of the cluster, in order. Brokers apply them at their own pace. An operation that all have
 * applied is discarded, except for a history that a restarted broker replays. Positions count the operations from 0;
 * indexes are visible to clients and have gaps.
 */
export class OperationLog {
  /** Stores appended operations beyond the end of the process. */
  store: OperationStore | null = null;
  #entries: LoggedOperation[] = [];
  /** Position of the first entry in memory. */
  #first = 0;
  #lastIndex = FIRST_INDEX;
  /** Every operation since the start or the last reset of the log; null when there are too many. */
  #history: LoggedOperation[] | null = [];
  /** Position of the first entry of the history. */
  #historyFrom = 0;

  /** The position behind the last operation. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  /** Appends an operation and returns its index. Most take two indexes, because a barrier precedes them. */
  append(operation: Operation): bigint {
    const index = this.#lastIndex + (operation.kind === 'activity-published' ? 1n : 2n);
    this.store?.append({ index, operation });
    this.restore({ index, operation });
    return index;
  }

  /** Adds an operation that was committed before. */
  restore(entry: LoggedOperation): void {
    this.#entries.push(entry);
    this.#lastIndex = entry.index;
    this.#history?.push(entry);
    if (this.#history && this.#history.length > MAX_HISTORY) this.#history = null;
  }

  /** Every operation before a position, for the replay of a restarted broker; null when they are discarded. */
  history(to: number): readonly LoggedOperation[] | null {
    return this.#history?.slice(0, Math.max(0, to - this.#historyFrom)) ?? null;
  }

  /** Restarts the history: nothing created before exists any more. */
  restartHistory(): void {
    this.#history = [];
    this.#historyFrom = this.end;
  }

  at(position: number): LoggedOperation {
    return this.#entries[position - this.#first]!;
  }

  /** Discards the operations before this position. */
  forget(position: number): void {
    if (position <= this.#first) return;
    this.#entries.splice(0, position - this.#first);
    this.#first = position;
  }
}
