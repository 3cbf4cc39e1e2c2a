import { clearTimeout, setTimeout } from '../async/timers.js';
import { IDLE_PROBE } from './timing.js';

/** Calls a probe whenever nothing was received for a while, at longer and longer intervals while the silence lasts. */
export class IdleProbe {
  readonly #probe: () => Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  #delay: number = IDLE_PROBE.first;
  #active = false;

  /** `probe` must not reject. */
  constructor(probe: () => Promise<void>) {
    this.#probe = probe;
  }

  /** Starts the timer, again if it runs already. */
  start(): void {
    this.stop();
    this.#delay = IDLE_PROBE.first;
    this.#arm();
  }

  /** Notes that something arrived. */
  noteActivity(): void {
    this.#active = true;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    this.#active = false;
    // The connection keeps the process alive, not this timer.
    const timer = setTimeout(() => void this.#fire(timer), this.#delay).unref();
    this.#timer = timer;
  }

  async #fire(timer: NodeJS.Timeout): Promise<void> {
    if (this.#active) this.#delay = IDLE_PROBE.first;
    else {
      await this.#probe();
      this.#delay = Math.min(IDLE_PROBE.longest, this.#delay * 2);
    }
    // It may have been stopped or started again meanwhile.
    if (this.#timer === timer) this.#arm();
  }
}
