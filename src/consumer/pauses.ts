import { sleep } from '../async/sleep.js';
import { clearTimeout, setTimeout } from '../async/timers.js';

/** Milliseconds to wait after so many failures in a row, from 1. */
export function backoff(failures: number, first = 20, longest = 1_000): number {
  return Math.min(longest, first * 2 ** Math.min(20, failures - 1));
}

/** Waits so many milliseconds, or until the signal aborts. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal).catch(() => undefined);
}

/** The result of the promise, or null when it takes longer than that. The work behind it goes on; its failure counts only in time. */
export async function within<Result>(ms: number, work: Promise<Result>): Promise<Result | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Settles when the promise does, or rejects with the signal's reason if that comes first. */
export function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
