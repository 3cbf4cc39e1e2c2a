import { TimeoutError } from '../errors.js';
import type { Waiting } from './contract.js';

/**
 * The time that one call has: ends with the caller's signal, its timeout, or the client. `dispose` must be called when
 * the call is over, so that no timer and no listener stays behind.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #ends: number;
  readonly #timer: NodeJS.Timeout;
  readonly #sources: readonly AbortSignal[];
  readonly #abort = (event: Event): void => this.#controller.abort((event.target as AbortSignal).reason);

  /** `timeoutReason` makes the error that the call rejects with when its time is up. */
  constructor(timeout: number, sources: readonly (AbortSignal | undefined)[], timeoutReason: () => Error) {
    this.#ends = performance.now() + timeout;
    this.#timer = setTimeout(() => this.#controller.abort(timeoutReason()), timeout);
    this.#sources = sources.filter((source) => source !== undefined);
    for (const source of this.#sources) {
      if (source.aborted) this.#controller.abort(source.reason);
      else source.addEventListener('abort', this.#abort, { once: true });
    }
  }

  /** Aborted when the time is up, with the error or reason to reject with. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds left, 0 when the time is up. */
  get remaining(): number {
    return Math.max(0, this.#ends - performance.now());
  }

  /** Takes timer and listeners off. */
  dispose(): void {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.removeEventListener('abort', this.#abort);
  }
}

/** The promise, or the signal's reason if that comes first. The work behind the promise goes on. */
export function whileNotAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) {
      work.catch(() => undefined); // its owner hears of it, this caller is gone
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Runs `work` within the caller's bounds; a caller without a timeout has `defaultTimeout` milliseconds. */
export async function withDeadline<Result>(
  operation: string,
  waiting: Waiting,
  defaultTimeout: number,
  closed: AbortSignal,
  work: (deadline: Deadline) => Promise<Result>,
): Promise<Result> {
  const timeout = waiting.timeout ?? defaultTimeout;
  const deadline = new Deadline(timeout, [closed, waiting.signal], () => timedOut(operation, timeout));
  try {
    deadline.signal.throwIfAborted();
    return await whileNotAborted(work(deadline), deadline.signal);
  } finally {
    deadline.dispose();
  }
}

function timedOut(operation: string, timeout: number): TimeoutError {
  return new TimeoutError(
    `${operation} did not end within ${timeout} ms. It may have been carried out; raise the timeout or check the brokers.`,
    { operation },
  );
}
