import { monotonicNow } from '../async/clock.js';
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../async/timers.js';
import type { PartitionQueue } from './partition-queue.js';

/** Wakes queues that have to wait, with one timer for all of them. */
export class QueueWakeups {
  readonly #wake: (queue: PartitionQueue) => void;
  #waiting = new Set<PartitionQueue>();
  #timer: NodeJS.Timeout | null = null;
  #timerAt = 0;
  readonly #next = new Set<PartitionQueue>();
  #immediate: NodeJS.Immediate | null = null;

  /** `wake` is called for all waiting queues at the earliest time; a queue that is woken early asks again. */
  constructor(wake: (queue: PartitionQueue) => void) {
    this.#wake = wake;
  }

  /** Wakes the queue at this time, as of `monotonicNow()`, or earlier. */
  at(queue: PartitionQueue, time: number): void {
    this.#waiting.add(queue);
    if (this.#timer !== null && this.#timerAt <= time) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = time;
    this.#timer = setTimeout(() => this.#wakeAll(), Math.max(1, Math.ceil(time - monotonicNow())));
  }

  /** Wakes the queue in the next turn of the event loop. */
  nextTurn(queue: PartitionQueue): void {
    this.#next.add(queue);
    this.#immediate ??= setImmediate(() => {
      this.#immediate = null;
      const queues = [...this.#next];
      this.#next.clear();
      for (const one of queues) this.#wake(one);
    });
  }

  /** Cancels all wakeups. */
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
    const queues = this.#waiting;
    this.#waiting = new Set();
    for (const queue of queues) this.#wake(queue);
  }
}
