import type { Clock, ClockTimer } from '../clock.js';

/**
 * Runs a function at multiples of an interval from a start, and only on demand: thousands of idle logs must not keep as
 * many timers.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #run: () => boolean;
  #start: number | null = null;
  #timer: ClockTimer | null = null;

  /** `interval`: milliseconds; `run` returns whether the next tick is needed too. */
  constructor(clock: Clock, interval: number, run: () => boolean) {
    this.#clock = clock;
    this.#interval = interval;
    this.#run = run;
  }

  /** Starts to count intervals. Nothing runs until `want`. */
  start(): void {
    this.stop();
    this.#start = this.#clock.now();
  }

  /** Asks for the next tick. */
  want(): void {
    if (this.#timer !== null || this.#start === null) return;
    const into = (this.#clock.now() - this.#start) % this.#interval;
    this.#timer = this.#clock.after(this.#interval - into, () => this.#tick());
  }

  /** Stops all ticks. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#start = null;
  }

  #tick(): void {
    this.#timer = null;
    if (this.#run()) this.want();
  }
}
