import type { Clock, ClockTimer } from '../clock.js';
import type { AutoPause } from './partition-config.js';

/** The facts that decide whether a partition is idle. */
export interface Idleness {
  /** Time of the last message, in milliseconds since the epoch; null before the first. */
  lastReceived(): number | null;
  subscribers(): number;
}

/**
 * Pauses a partition whose leader has received no message for some time. Without any message it counts as idle from the
 * start.
 */
export class AutoPauseTimer {
  readonly #clock: Clock;
  readonly #rule: AutoPause;
  readonly #idleness: Idleness;
  readonly #pause: () => void;
  #timer: ClockTimer | null = null;

  constructor(clock: Clock, rule: AutoPause, idleness: Idleness, pause: () => void) {
    this.#clock = clock;
    this.#rule = rule;
    this.#idleness = idleness;
    this.#pause = pause;
  }

  /** Starts the timer. */
  start(): void {
    this.stop();
    if (this.#rule.after > 0) this.#arm(this.#rule.after);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(ms: number): void {
    this.#timer = this.#clock.after(ms, () => this.#look());
  }

  #look(): void {
    const { after, unlessSubscribed } = this.#rule;
    const last = this.#idleness.lastReceived();
    const idle = last === null ? after : this.#clock.now() - last;
    if (idle >= after && !(unlessSubscribed && this.#idleness.subscribers() > 0)) this.#pause();
    this.#arm(idle < after ? Math.max(1, after - idle) : after);
  }
}
