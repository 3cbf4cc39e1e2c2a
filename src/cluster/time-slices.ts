import { monotonicNow } from '../async/clock.js';
import { nextTurn } from '../async/timers.js';

/** Milliseconds of work between two turns of the event loop. */
const SLICE = 4;
/** Steps between two looks at the clock. */
const STRIDE = 8;

/** Runs a generator to its end, giving the event loop a turn every few milliseconds; answers what it returns. */
export async function inSlices<Result>(work: Generator<unknown, Result>): Promise<Result> {
  let sliceEnd = monotonicNow() + SLICE;
  for (let step = 1; ; step++) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (step % STRIDE === 0 && monotonicNow() >= sliceEnd) {
      await nextTurn();
      sliceEnd = monotonicNow() + SLICE;
    }
  }
}
