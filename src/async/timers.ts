import * as timers from 'node:timers';

/**
 * The timers of the platform, read once when the package is loaded: a test suite that replaces the global timers by fake
 * ones afterwards does not stop the client.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

/** Longest delay that a timer of Node takes, in milliseconds; a longer one would fire at once. */
export const LONGEST_DELAY_MS = 0x7fffffff;

/**
 * Resolves after `ms` milliseconds. Rejects with the reason of `signal` when that aborts first. With `ref: false` the wait
 * does not keep the process alive.
 */
export function sleep(ms: number, signal?: AbortSignal, { ref = true } = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const onTime = (): void => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    };
    const timer = setTimeout(onTime, Math.min(Math.max(0, ms), LONGEST_DELAY_MS));
    if (!ref) timer.unref();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Resolves in the next turn of the event loop, after pending input was read. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
