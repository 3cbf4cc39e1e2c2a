import { monotonicNow } from './clock.js';
import { setImmediate } from './timers.js';

/** Milliseconds of work between two turns of the event loop. */
const SLICE_MS = 4;

/**
 * Works entries off in order. What fits into a few milliseconds of one turn of the event loop is done at once, the rest in
 * the turns that follow, so that a great number of entries does not block the loop.
 */
export class SlicedQueue<T> {
  readonly #work: (entry: T) => void;
  #entries: T[] = [];
  #head = 0;
  /** End of the slice of this turn; null while no turn is under way. */
  #sliceEnd: number | null = null;
  #working = false;
  #idle: (() => void)[] = [];

  constructor(work: (entry: T) => void) {
    this.#work = work;
  }

  /** Adds entries. What the slice allows is worked off before this returns, unless others are before it. */
  push(entries: readonly T[]): void {
    for (const entry of entries) this.#entries.push(entry);
    if (this.#working || entries.length === 0) return;
    if (this.#sliceEnd === null) this.#beginSlice();
    if (monotonicNow() < this.#sliceEnd!) this.#run();
  }

  /** Resolves when nothing is left. */
  idle(): Promise<void> {
    if (this.#entries.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #beginSlice(): void {
    this.#sliceEnd = monotonicNow() + SLICE_MS;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#sliceEnd = null;
    if (this.#entries.length === 0) return;
    this.#beginSlice();
    this.#run();
  };

  #run(): void {
    this.#working = true;
    try {
      while (this.#head < this.#entries.length && monotonicNow() < this.#sliceEnd!)
        this.#work(this.#entries[this.#head++]!);
    } finally {
      this.#working = false;
    }
    if (this.#head < this.#entries.length) return;
    this.#entries = [];
    this.#head = 0;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
