import { performance } from 'node:perf_hooks';

// Read once: a test suite that fakes `performance` or `Date` must not stop or move the client's clock.
const read = performance.now.bind(performance);
const readWall = Date.now.bind(Date);

/**
 * Milliseconds on the monotonic clock, from an arbitrary start. Every wait, backoff, deadline and age goes by it: the wall
 * clock may step back or ahead at any time.
 */
export function monotonicNow(): number {
  return read();
}

/** Milliseconds since the epoch by the wall clock. For two purposes only: to notice that the machine slept, and for the validity of certificates. */
export function wallNow(): number {
  return readWall();
}
