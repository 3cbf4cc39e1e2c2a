import type { Operation } from './contract.js';

/** An operation with its place in the log of the cluster. */
export interface LoggedOperation {
  readonly index: bigint;
  readonly operation: Operation;
}

/** Keeps what was committed beyond the end of the process. */
export interface OperationStore {
  append(entry: LoggedOperation): void;
}

/** The server takes a snapshot of its metadata after this number of operations by default, and replays no more than them. */
const MAX_HISTORY = 8_192;

// What a fresh server has in its log before the first operation that anybody asked for.
const FIRST_INDEX = 3n;

/**
 * The operations that the cluster has committed, in order. Brokers apply them at their own pace; what all have applied
 * is forgotten, except for a history that a restarted broker replays. Positions count the operations from 0, indexes are what clients see and have gaps.
 */
export class OperationLog {
  /** Keeps what is appended beyond the end of the process. */
  store: OperationStore | null = null;
  #entries: LoggedOperation[] = [];
  /** Position of the first entry that is still held. */
  #first = 0;
  #lastIndex = FIRST_INDEX;
  /** Every operation since the log began or was reset; null when they became too many. */
  #history: LoggedOperation[] | null = [];
  /** Position of the first entry of the history. */
  #historyFrom = 0;

  /** The position behind the last operation. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  /** Adds an operation and answers its index. Most cost two indexes, as a barrier goes before them. */
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

  /** Every operation before a position, as a restarted broker replays them; null when they are forgotten. */
  history(to: number): readonly LoggedOperation[] | null {
    return this.#history?.slice(0, Math.max(0, to - this.#historyFrom)) ?? null;
  }

  /** Begins the history again: nothing that was created before exists any more. */
  restartHistory(): void {
    this.#history = [];
    this.#historyFrom = this.end;
  }

  at(position: number): LoggedOperation {
    return this.#entries[position - this.#first]!;
  }

  /** Forgets the operations before this position. */
  forget(position: number): void {
    if (position <= this.#first) return;
    this.#entries.splice(0, position - this.#first);
    this.#first = position;
  }
}
