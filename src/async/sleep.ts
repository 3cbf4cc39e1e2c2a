import { onAbort } from './shared-abort-listener.js';
import { clearTimeout, LONGEST_DELAY_MS, setImmediate, setTimeout } from './timers.js';

/**
 * Resolves after `ms` milliseconds. Rejects with the reason of `signal` when that aborts first. With `ref: false` the wait
 * does not keep the process alive.
 */
export function sleep(ms: number, signal?: AbortSignal, { ref = true } = {}): Promise<void> {
  // A promise of its own and not a deferred one: many waits begin at the same time, and this makes the fewest objects.
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = setTimeout(
      () => {
        forget?.();
        resolve();
      },
      Math.min(Math.max(0, ms), LONGEST_DELAY_MS),
    );
    if (!ref) timer.unref();
    const forget =
      signal &&
      onAbort(signal, () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
  });
}

/** Resolves after `ms` milliseconds, or as soon as the signal aborts. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal).catch(() => undefined); // an abort ends the pause; the caller looks at the signal
}

/** Resolves in the next turn of the event loop, after it has handled what arrived. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve)); // resolved by the platform: nothing else can settle it
}
