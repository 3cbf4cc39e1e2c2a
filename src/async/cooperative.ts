import { monotonicNow } from './clock.js';
import { nextTurn } from './sleep.js';

/** Milliseconds of work between two turns of the event loop. */
export const SLICE_MS = 5;
/** Steps of a generator between two readings of the clock. */
const STEPS_PER_READING = 8;

/**
 * Calls `step` for every entry and gives the event loop a turn every few milliseconds. The first entries are done when
 * this returns; it resolves after the last one.
 */
export async function forEachInSlices<T>(entries: Iterable<T>, step: (entry: T) => void): Promise<void> {
  let end = monotonicNow() + SLICE_MS;
  for (const entry of entries) {
    if (monotonicNow() >= end) {
      await nextTurn();
      end = monotonicNow() + SLICE_MS;
    }
    step(entry);
  }
}

/** Runs a generator to its end and gives the event loop a turn every few milliseconds. Resolves with its return value. */
export async function runInSlices<Result>(work: Generator<unknown, Result>): Promise<Result> {
  let end = monotonicNow() + SLICE_MS;
  for (let step = 1; ; step++) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (step % STEPS_PER_READING === 0 && monotonicNow() >= end) {
      await nextTurn();
      end = monotonicNow() + SLICE_MS;
    }
  }
}
