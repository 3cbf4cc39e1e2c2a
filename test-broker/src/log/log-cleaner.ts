import type { Clock } from '../clock.js';
import type { LogConfig } from './log-config.js';
import type { LogStore } from './log-store.js';
import { Ticker } from './ticker.js';

/** Rolls, expires and compacts the segments of a log every `cleanerInterval`, while there is something to clean. */
export class LogCleaner {
  readonly #clock: Clock;
  readonly #config: LogConfig;
  readonly #store: LogStore;
  readonly #ticker: Ticker;

  /** `onDue`: called when a run is due, to call `clean` and report a disk that fails. */
  constructor(clock: Clock, config: LogConfig, store: LogStore, onDue: () => void) {
    this.#clock = clock;
    this.#config = config;
    this.#store = store;
    this.#ticker = new Ticker(clock, config.cleanerInterval, () => {
      onDue();
      return this.#cleanable;
    });
  }

  /** Rolls the active segment, or else applies retention and compaction. */
  clean(highWatermark: number): void {
    const now = this.#clock.nanos();
    if (this.#store.rollIfDue(now)) return;
    this.#store.expire(now);
    if (this.#config.compactEnabled) this.#store.compact(highWatermark);
  }

  start(): void {
    this.#ticker.start();
    if (this.#cleanable) this.#ticker.want();
  }

  stop(): void {
    this.#ticker.stop();
  }

  /** Asks for a run at the end of the interval. */
  want(): void {
    this.#ticker.want();
  }

  /** Whether a run could change something, now or when messages have grown older. */
  get #cleanable(): boolean {
    const { all, active } = this.#store.segments;
    return all.length > 1 || active.count > 0;
  }
}
