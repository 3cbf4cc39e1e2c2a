import { monotonicNow } from './clock.js';

/**
 * The delay before the next attempt: doubles with each failure in a row, from `first` to `longest` milliseconds, less a random
 * part of up to a half. Clients that lost the same broker at the same time do not all come back at the same time.
 */
export class Backoff {
  readonly #first: number;
  readonly #longest: number;
  #failures = 0;
  #until = Number.NEGATIVE_INFINITY;

  constructor(first: number, longest: number) {
    this.#first = first;
    this.#longest = longest;
  }

  /** Milliseconds until the next attempt makes sense. */
  get remaining(): number {
    return Math.max(0, this.#until - monotonicNow());
  }

  /** Notes a failure. Failures before the next attempt makes sense are those of the same attempt, and count as one. */
  failed(): void {
    if (this.remaining > 0) return;
    const delay = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#failures++, 30));
    this.#until = monotonicNow() + delay * (0.5 + Math.random() / 2);
  }

  /** Notes a success: the next attempt need not wait. */
  reset(): void {
    this.#failures = 0;
    this.#until = Number.NEGATIVE_INFINITY;
  }
}
