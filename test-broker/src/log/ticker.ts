import type { Clock, ClockTimer } from '../clock.js';

/**
 * Runs something at whole intervals from a start, and only while there is a reason to: thousands of logs without
 * messages must not keep as many timers going.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #run: () => boolean;
  #start: number | null = null;
  #timer: ClockTimer | null = null;

  /** `interval`: milliseconds; `run` answers whether the next tick is wanted too. */
  constructor(clock: Clock, interval: number, run: () => boolean) {
    this.#clock = clock;
    this.#interval = interval;
    this.#run = run;
  }

  /** Begins to count intervals. Nothing runs until `want`. */
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

  /** No tick comes any more. */
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
