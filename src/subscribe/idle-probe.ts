import { clearTimeout, setTimeout } from '../async/timers.js';

const FIRST = 300;
const LONGEST = 5_000;

/** Has a look taken whenever nothing was heard for a while; less and less often while the silence lasts. */
export class IdleProbe {
  readonly #probe: () => Promise<void>;
  #timer: NodeJS.Timeout | null = null;
  #delay = FIRST;
  #active = false;

  /** `probe` must not reject. */
  constructor(probe: () => Promise<void>) {
    this.#probe = probe;
  }

  /** Begins to listen, anew if it did already. */
  start(): void {
    this.stop();
    this.#delay = FIRST;
    this.#arm();
  }

  /** Something came. */
  noteActivity(): void {
    this.#active = true;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    this.#active = false;
    // The connection keeps the process alive, not the watch on it.
    const timer = setTimeout(() => void this.#fire(timer), this.#delay).unref();
    this.#timer = timer;
  }

  async #fire(timer: NodeJS.Timeout): Promise<void> {
    if (this.#active) this.#delay = FIRST;
    else {
      await this.#probe();
      this.#delay = Math.min(LONGEST, this.#delay * 2);
    }
    // Stopped or started anew meanwhile?
    if (this.#timer === timer) this.#arm();
  }
}
