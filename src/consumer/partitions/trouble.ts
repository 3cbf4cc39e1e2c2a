import { monotonicNow } from '../../async/clock.js';
import { LiftbridgeError } from '../../errors.js';
import { TROUBLE_MIN_MS } from '../timing.js';

/** The trouble of a partition that is not being read: what lasts is reported, again and again, so that it is not silent. */
export class Trouble {
  readonly #patience: number;
  readonly #report: (error: unknown) => void;
  #error: unknown = null;
  #since = 0;

  /** `patience`: milliseconds before a report, and between two. */
  constructor(patience: number, report: (error: unknown) => void) {
    this.#patience = Math.max(TROUBLE_MIN_MS, patience);
    this.#report = report;
  }

  /** The last failure; null while the partition is being read. */
  get error(): unknown {
    return this.#error;
  }

  /** Notes a failure that another attempt follows. `isOld`: it has lasted for the whole patience before. */
  note(error: unknown, isOld = false): void {
    // A paused partition is not read until something is published to it.
    if (LiftbridgeError.is(error, 'PARTITION_PAUSED')) return;
    const now = monotonicNow();
    if (this.#error === null) this.#since = now;
    this.#error = error;
    if (!isOld && now - this.#since < this.#patience) return;
    this.#since = now;
    this.#report(error);
  }

  /** The partition is being read. */
  clear(): void {
    this.#error = null;
  }
}
