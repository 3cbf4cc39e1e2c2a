import { Fifo } from '../collections/fifo.js';
import { monotonicNow } from './clock.js';
import { SLICE_MS } from './cooperative.js';
import { type Deferred, deferred } from './deferred.js';
import { setImmediate } from './timers.js';

/**
 * Works entries off in order. What fits into a few milliseconds of one turn of the event loop is done at once, the rest in
 * the turns that follow, so that a great number of entries does not block the loop.
 */
export class SlicedQueue<T> {
  readonly #work: (entry: T) => void;
  readonly #entries = new Fifo<T>();
  /** End of the slice of this turn; null while no turn is under way. */
  #sliceEnd: number | null = null;
  #working = false;
  #idle: Deferred<void> | null = null;

  constructor(work: (entry: T) => void) {
    this.#work = work;
  }

  /** Adds entries. What the slice allows is worked off before this returns, unless others are before it. */
  push(entries: readonly T[]): void {
    for (const entry of entries) this.#entries.push(entry);
    if (this.#working || entries.length === 0) return;
    if (this.#sliceEnd === null) this.#beginSlice();
    else if (monotonicNow() >= this.#sliceEnd) return;
    this.#run();
  }

  /** Resolves when nothing is left. */
  idle(): Promise<void> {
    if (this.#entries.empty) return Promise.resolve();
    this.#idle ??= deferred();
    return this.#idle.promise;
  }

  #beginSlice(): void {
    this.#sliceEnd = monotonicNow() + SLICE_MS;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#sliceEnd = null;
    if (this.#entries.empty) return;
    this.#beginSlice();
    this.#run();
  };

  #run(): void {
    this.#working = true;
    try {
      // At least one, however slow the machine is: each turn gets on.
      do this.#work(this.#entries.shift()!);
      while (!this.#entries.empty && monotonicNow() < this.#sliceEnd!);
    } finally {
      this.#working = false;
    }
    if (!this.#entries.empty) return;
    this.#idle?.resolve();
    this.#idle = null;
  }
}
