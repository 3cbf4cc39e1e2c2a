import { monotonicNow } from './clock.js';
import { deferred } from './deferred.js';
import { onAbort } from './shared-abort-listener.js';
import { clearTimeout, LONGEST_DELAY_MS, setTimeout } from './timers.js';

/** How long a caller waits: the internal shape of every call that waits. `CallOptions` is its public twin, with the texts of the docs. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
}

/** How long a caller waits, where a limit is set. */
export interface BoundedWaiting extends Waiting {
  /** Milliseconds. */
  readonly timeout: number;
}

/** The limits of one step of a call: the time that the call has left, or `atMost` milliseconds when that is less. */
export type StepBounds = (atMost?: number) => BoundedWaiting;

/** Limits of steps that must be over by `deadline`, as of `monotonicNow()`. */
export function boundsUntil(deadline: number, signal: AbortSignal | undefined): StepBounds {
  return (atMost = Number.POSITIVE_INFINITY) => ({
    signal,
    timeout: Math.max(1, Math.min(atMost, deadline - monotonicNow())),
  });
}

/**
 * The time that one call has: it ends with the caller's signal, its timeout, or the client. `dispose` must be called when
 * the call is over, so that no timer and no listener remains.
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
    this.#timer = setTimeout(() => this.#controller.abort(late(timeout)), Math.min(timeout, LONGEST_DELAY_MS));
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

  /** Removes the timer and the listeners. */
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

/** Limits of a call. */
export interface Bounds {
  readonly waiting: Waiting;
  /** Milliseconds, when the caller sets no timeout. */
  readonly timeout: number;
  /** Aborted when the client closes. */
  readonly closed: AbortSignal;
  /** Makes the error of a call whose time is up. */
  late(timeout: number): Error;
}

/** Runs `work` within its bounds. Rejects with its error, the caller's abort reason, or the reason why the client closed. */
export async function withDeadline<Result>(
  { waiting, timeout, closed, late }: Bounds,
  work: (deadline: Deadline) => Promise<Result>,
): Promise<Result> {
  const deadline = new Deadline(waiting.timeout ?? timeout, [closed, waiting.signal], late);
  try {
    deadline.signal.throwIfAborted();
    return await orAbort(work(deadline), deadline.signal);
  } finally {
    deadline.dispose();
  }
}

/**
 * Settles as the promise does, or rejects with the reason of the signal when that aborts first. The work behind the promise
 * continues. Without a signal it is the promise itself.
 */
export function orAbort<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  if (signal.aborted) {
    work.catch(() => undefined); // others who share the work are told; this caller is not waiting any more
    return Promise.reject(signal.reason);
  }
  const { promise, resolve, reject } = deferred<Result>();
  const forget = onAbort(signal, () => reject(signal.reason));
  work.then(
    (result) => {
      forget();
      resolve(result);
    },
    (error: unknown) => {
      forget();
      reject(error);
    },
  );
  return promise;
}

/** Settles as the promise does until `deadline` (as of `monotonicNow()`), then rejects with the error that `late` makes. */
export async function orDeadline<Result>(work: Promise<Result>, deadline: number, late: () => Error): Promise<Result> {
  const { promise, reject } = deferred<never>();
  const timer = setTimeout(() => reject(late()), delayUntil(deadline));
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The result of the promise, or null when it takes longer than `ms` milliseconds. The work behind it continues, and its
 * failure is ignored then. With `ref: false` the wait does not keep the process alive.
 */
export async function within<Result>(ms: number, work: Promise<Result>, { ref = true } = {}): Promise<Result | null> {
  const { promise, resolve } = deferred<null>();
  const timer = setTimeout(() => resolve(null), Math.min(Math.max(0, ms), LONGEST_DELAY_MS));
  if (!ref) timer.unref();
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds from now to `deadline` (as of `monotonicNow()`), as a timer takes them. */
function delayUntil(deadline: number): number {
  return Math.min(Math.max(0, deadline - monotonicNow()), LONGEST_DELAY_MS);
}
