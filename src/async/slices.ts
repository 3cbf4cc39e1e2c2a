import { monotonicNow } from './clock.js';
import { nextTurn } from './timers.js';

/** Milliseconds of work between two turns of the event loop. */
const SLICE = 5;

/**
 * Calls `step` for every entry and gives the event loop a turn every few milliseconds. The first entries are done when
 * this returns; it resolves after the last one.
 */
export async function forEachInSlices<T>(entries: Iterable<T>, step: (entry: T) => void): Promise<void> {
  let end = monotonicNow() + SLICE;
  for (const entry of entries) {
    if (monotonicNow() >= end) {
      await nextTurn();
      end = monotonicNow() + SLICE;
    }
    step(entry);
  }
}
