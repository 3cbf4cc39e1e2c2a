import { clearInterval, setInterval } from '../async/timers.js';
import type { PartitionQueue } from './partition-queue.js';
import { LOOK_EVERY_MS } from './timing.js';

/** A queue is silent when this many looks in a row have seen publishes in flight and no response. */
const SILENT_LOOKS = 4;

/** Notices queues whose publishes are not answered, long before their timeouts: within a second. */
export class AckWatch {
  readonly #queues: () => Iterable<PartitionQueue>;
  readonly #silent: (queue: PartitionQueue) => void;
  #timer: NodeJS.Timeout | null = null;

  /** `silent` is called for a queue once its publishes have been unanswered for a second, and again from time to time while they are. */
  constructor(queues: () => Iterable<PartitionQueue>, silent: (queue: PartitionQueue) => void) {
    this.#queues = queues;
    this.#silent = silent;
  }

  /** Watches for as long as anything is in flight. */
  start(): void {
    // The timeouts of the publishes keep the process alive, not this.
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    let inFlight = false;
    for (const queue of this.#queues()) {
      // The leader may have come within reach.
      if (queue.detour) queue.version = -1;
      if (queue.unsettled === 0) {
        queue.silentLooks = 0;
        continue;
      }
      inFlight = true;
      if (queue.responses !== queue.seen) {
        queue.seen = queue.responses;
        queue.silentLooks = 0;
      } else if (++queue.silentLooks >= SILENT_LOOKS && isPowerOfTwo(queue.silentLooks)) this.#silent(queue);
    }
    if (!inFlight) this.stop();
  }
}

function isPowerOfTwo(number: number): boolean {
  return (number & (number - 1)) === 0;
}
