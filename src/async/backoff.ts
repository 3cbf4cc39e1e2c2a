import pRetry from 'p-retry';
import { monotonicNow } from './clock.js';
import { sleep } from './sleep.js';

/** Bounds of the delay between attempts, in milliseconds. */
export interface BackoffBounds {
  /** Delay after the first failure. */
  readonly first: number;
  /** Longest delay. */
  readonly longest: number;
}

/** After this many failures the delay no longer doubles: it is beyond every bound. */
const MOST_DOUBLINGS = 30;

/**
 * Milliseconds to wait after this many failures in a row, from 1: `first`, doubled with each further failure up to `longest`,
 * less a random part of up to a half. Clients that lost the same broker at the same time do not all come back together.
 */
export function backoffDelay(failures: number, { first, longest }: BackoffBounds): number {
  const delay = Math.min(longest, first * 2 ** Math.min(Math.max(0, failures - 1), MOST_DOUBLINGS));
  return delay * (0.5 + Math.random() / 2); // the jitter: the one random delay of the package
}

/** Counts failures in a row and says when the next attempt makes sense. */
export class Backoff {
  readonly #bounds: BackoffBounds;
  #failures = 0;
  #until = Number.NEGATIVE_INFINITY;

  constructor(bounds: BackoffBounds) {
    this.#bounds = bounds;
  }

  /** Milliseconds until the next attempt makes sense. */
  get remaining(): number {
    return Math.max(0, this.#until - monotonicNow());
  }

  /** When the next attempt makes sense, as of `monotonicNow()`; in the past when it makes sense now. */
  get until(): number {
    return this.#until;
  }

  /** Records a failure. A failure before the next attempt makes sense belongs to the same attempt and does not count. */
  recordFailure(): void {
    const now = monotonicNow();
    if (this.#until > now) return;
    this.#until = now + backoffDelay(++this.#failures, this.#bounds);
  }

  /** Records a success: the next attempt need not wait, and the next delay is the first one again. */
  reset(): void {
    this.#failures = 0;
    this.#until = Number.NEGATIVE_INFINITY;
  }
}

/** Rules of a call that is made again when it fails. */
export interface RetryRules {
  /** Attempts in all. */
  readonly attempts: number;
  readonly backoff: BackoffBounds;
  /** Ends the waits between attempts; the retried call rejects with its reason. */
  readonly signal: AbortSignal;
  /** Whether another attempt can help after this one, from 1. */
  shouldRetry(failure: unknown, attempt: number): boolean;
  /** Whether the attempt counts against `attempts` and is followed by a delay; true when it is left out. */
  counts?(failure: unknown): boolean;
  /** Called before the delay, in milliseconds, that follows a failed attempt. */
  onRetry(failure: unknown, attempt: number, delay: number): void;
}

/** Calls `attempt`, with its number from 1, until it succeeds, the rules say no, attempts run out or the signal aborts. */
export function retryWithBackoff<Result>(
  rules: RetryRules,
  attempt: (number: number) => Promise<Result>,
): Promise<Result> {
  const counts = (failure: unknown): boolean => rules.counts?.(failure) ?? true;
  return pRetry(attempt, {
    retries: rules.attempts - 1,
    // The delay is ours: p-retry waits by the global timers, which a test suite may have replaced by fake ones.
    minTimeout: 0,
    signal: rules.signal,
    shouldConsumeRetry: ({ error }) => counts(error),
    shouldRetry: async ({ error, attemptNumber }) => {
      if (!rules.shouldRetry(error, attemptNumber)) return false;
      const delay = backoffDelay(attemptNumber, rules.backoff);
      rules.onRetry(error, attemptNumber, delay);
      if (counts(error)) await sleep(delay, rules.signal);
      return true;
    },
  });
}
