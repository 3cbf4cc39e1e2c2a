import { clearImmediate, clearTimeout, LONGEST_DELAY_MS, setImmediate, setTimeout } from '../async/timers.js';

/** Timing of a `Keepalive`, in milliseconds, and what it acts on. */
export interface KeepaliveOptions {
  readonly time: number;
  readonly timeout: number;
  /** Bytes received so far. */
  readonly received: () => number;
  /** Whether the peer may be asked now; default: always. */
  readonly inUse?: () => boolean;
  /** Sends a keepalive to the peer; `urgent` is the second and last time. */
  readonly ask: (urgent: boolean) => void;
  /** Called once when the peer counts as dead. */
  readonly dead: () => void;
}

const STEPS = 4;

/** Watches a connection: any byte shows that the peer is alive; after a silence the peer is sent a keepalive. */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  #timer: NodeJS.Timeout | undefined;
  #verdict: NodeJS.Immediate | undefined;
  #seen = -1;
  #silentSteps = 0;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
    this.#wait(options.time / STEPS, this.#listen);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#verdict);
  }

  #wait(delay: number, next: () => void): void {
    // The socket keeps the process alive, not the watch on it.
    this.#timer = setTimeout(next, Math.min(delay, LONGEST_DELAY_MS)).unref();
  }

  #heard(): boolean {
    const received = this.#options.received();
    const heard = received !== this.#seen;
    this.#seen = received;
    if (heard) this.#silentSteps = 0;
    return heard;
  }

  readonly #listen = (): void => {
    const { time, timeout, ask, inUse } = this.#options;
    if (!this.#heard()) this.#silentSteps++;
    if (this.#silentSteps < STEPS || inUse?.() === false) {
      this.#wait(time / STEPS, this.#listen);
      return;
    }
    ask(false);
    this.#wait(timeout / 2, this.#insist);
  };

  readonly #insist = (): void => {
    const { time, timeout, ask } = this.#options;
    if (this.#heard()) {
      this.#wait(time / STEPS, this.#listen);
      return;
    }
    ask(true);
    this.#wait(timeout / 2, this.#judge);
  };

  // A process that was busy meets its timers before it reads what has come meanwhile: the verdict waits for that.
  readonly #judge = (): void => {
    this.#verdict = setImmediate(() => {
      if (this.#heard()) this.#wait(this.#options.time / STEPS, this.#listen);
      else this.#options.dead();
    });
  };
}
