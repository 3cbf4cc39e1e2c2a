import { monotonicNow } from '../async/clock.js';
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../async/timers.js';
import type { PartitionLane } from './lanes.js';

/** Calls lanes that have to wait, with one timer for all of them. */
export class LaneWakeups {
  readonly #wake: (lane: PartitionLane) => void;
  #waiting = new Set<PartitionLane>();
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;
  readonly #next = new Set<PartitionLane>();
  #immediate: NodeJS.Immediate | null = null;

  /** `wake` is called for every waiting lane when the time of the first is up; one that is early asks again. */
  constructor(wake: (lane: PartitionLane) => void) {
    this.#wake = wake;
  }

  /** Calls the lane at a time, as of `monotonicNow()`, or before. */
  at(lane: PartitionLane, time: number): void {
    this.#waiting.add(lane);
    if (this.#timer !== null && this.#timerAt <= time) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = time;
    this.#timer = setTimeout(() => this.#wakeAll(), Math.max(1, Math.ceil(time - monotonicNow())));
  }

  /** Calls the lane in the next turn of the event loop. */
  nextTurn(lane: PartitionLane): void {
    this.#next.add(lane);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = null;
      const lanes = [...this.#next];
      this.#next.clear();
      for (const one of lanes) this.#wake(one);
    });
  }

  /** Cancels every wake-up. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
    this.#waiting.clear();
    this.#next.clear();
  }

  #wakeAll(): void {
    this.#timer = null;
    const lanes = this.#waiting;
    this.#waiting = new Set();
    for (const lane of lanes) this.#wake(lane);
  }
}
