import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import { onAbort } from './abort-fan.js';
import type { Waiting } from './contract.js';

/**
 * The time that one call has: ends with the caller's signal, its timeout, or the client. `dispose` must be called when
 * the call is over, so that no timer and no listener stays behind.
 */
export class Deadline {
  /** Milliseconds that the call has in all. */
  readonly timeout: number;
  readonly #controller = new AbortController();
  readonly #ends: number;
  readonly #timer: NodeJS.Timeout;
  readonly #undo: readonly (() => void)[];

  /** `late` makes the error that the call rejects with when its time is up. */
  constructor(timeout: number, sources: readonly (AbortSignal | undefined)[], late: (timeout: number) => Error) {
    this.timeout = timeout;
    this.#ends = monotonicNow() + timeout;
    this.#timer = setTimeout(() => this.#controller.abort(late(timeout)), timeout);
    this.#undo = sources.filter((source) => source !== undefined).map((source) => this.#follow(source));
  }

  /** Aborted when the time is up, with the error or reason to reject with. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds left, 0 when the time is up. */
  get remaining(): number {
    return Math.max(0, this.#ends - monotonicNow());
  }

  /** Takes timer and listeners off. */
  dispose(): void {
    clearTimeout(this.#timer);
    for (const undo of this.#undo) undo();
  }

  #follow(source: AbortSignal): () => void {
    const abort = (): void => this.#controller.abort(source.reason);
    if (!source.aborted) return onAbort(source, abort);
    abort();
    return () => undefined;
  }
}

/** What a bounded call is bounded by. */
export interface Bounds {
  readonly waiting: Waiting;
  /** Milliseconds for a caller that says nothing of it. */
  readonly timeout: number;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
  /** The error for a call whose time is up. */
  late(timeout: number): Error;
}

/** Runs `work` within its bounds. Rejects with its error, the caller's abort reason, or that of the client's end. */
export async function withDeadline<Result>(
  { waiting, timeout, closed, late }: Bounds,
  work: (deadline: Deadline) => Promise<Result>,
): Promise<Result> {
  const deadline = new Deadline(waiting.timeout ?? timeout, [closed, waiting.signal], late);
  try {
    deadline.signal.throwIfAborted();
    return await whileNotAborted(work(deadline), deadline.signal);
  } finally {
    deadline.dispose();
  }
}

/** The promise, or the signal's reason if that comes first. The work behind the promise goes on, for others or for itself. */
export function whileNotAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) {
    work.catch(() => undefined); // whoever shares the work hears of it, this caller is gone
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const done = onAbort(signal, () => reject(signal.reason));
    work.then(
      (result) => {
        done();
        resolve(result);
      },
      (error: unknown) => {
        done();
        reject(error);
      },
    );
  });
}
