import { performance } from 'node:perf_hooks';

/**
 * Milliseconds on the monotonic clock, from an arbitrary start. A wall clock may step back or ahead at any time, and
 * would delay every timer or fire all of them. The function is read once, so that a test suite that fakes `performance`
 * or `Date` does not stop the broker; it is an object, so that our own tests can replace it.
 */
export const elapsed = { now: performance.now.bind(performance) };

/** Nanoseconds on the monotonic clock, from an arbitrary start. */
export const elapsedNanoseconds = process.hrtime.bigint.bind(process.hrtime);
