import { deferred } from 'liftbridge-client/protocol';
import type { Clock } from './clock.js';
import { clearTimeout, setTimeout } from './timers.js';

/** Resolves after this many milliseconds of the broker's clock, or as soon as the signal aborts. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  const { promise, resolve } = deferred();
  const timer = clock.after(Math.max(0, ms), () => end());
  const end = () => {
    timer.cancel();
    signal?.removeEventListener('abort', end);
    resolve();
  };
  signal?.addEventListener('abort', end);
  return promise;
}

/** Resolves when the work ends, or after this many milliseconds of real time. Rejects when the work rejects before. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const late = deferred();
  const timer = setTimeout(late.resolve, ms);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
