import { monotonicNow } from './clock.js';
import { clearTimeout, LONGEST_DELAY_MS, setTimeout, sleep } from './timers.js';

/** Waits for `promise` until `deadline` (as of `monotonicNow()`), then rejects with what `late` makes. */
export async function orDeadline<T>(promise: Promise<T>, deadline: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    const delay = Math.min(Math.max(0, deadline - monotonicNow()), LONGEST_DELAY_MS);
    timer = setTimeout(() => reject(late()), delay);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `promise` until `signal` is aborted, then rejects with its reason. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  let undo = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    undo = () => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    undo();
  }
}

/** Waits for `work`, but no longer than `ms` milliseconds. Its timer does not keep the process alive. */
export async function atMost(work: Promise<void>, ms: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, sleep(ms, over.signal, { ref: false })]);
  over.abort();
}
