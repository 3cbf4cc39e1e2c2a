import { clearInterval, setInterval } from '../async/timers.js';
import type { PartitionQueue } from './partition-queue.js';
import { ACK_CHECK_INTERVAL_MS } from './timing.js';

/** A queue is silent when this many checks in a row found publishes in flight and no new response. */
const SILENT_CHECKS = 4;

/** Notices within a second, long before their timeouts, that the publishes of a queue get no responses. */
export class AckWatch {
  readonly #queues: () => Iterable<PartitionQueue>;
  readonly #onSilent: (queue: PartitionQueue) => void;
  #timer: NodeJS.Timeout | null = null;

  /** `onSilent` is called for a queue after a second without a response, and again, less and less often, while that lasts. */
  constructor(queues: () => Iterable<PartitionQueue>, onSilent: (queue: PartitionQueue) => void) {
    this.#queues = queues;
    this.#onSilent = onSilent;
  }

  /** Watches as long as any publish is in flight. */
  start(): void {
    // The timeouts of the publishes keep the process alive; this timer does not.
    this.#timer ??= setInterval(() => this.#check(), ACK_CHECK_INTERVAL_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #check(): void {
    let inFlight = false;
    for (const queue of this.#queues()) {
      // The leader may be reachable by now.
      if (queue.detour) queue.version = -1;
      if (queue.unsettled === 0) {
        queue.silentChecks = 0;
        continue;
      }
      inFlight = true;
      if (queue.responses !== queue.seenResponses) {
        queue.seenResponses = queue.responses;
        queue.silentChecks = 0;
      } else if (++queue.silentChecks >= SILENT_CHECKS && isPowerOfTwo(queue.silentChecks)) this.#onSilent(queue);
    }
    if (!inFlight) this.stop();
  }
}

function isPowerOfTwo(number: number): boolean {
  return (number & (number - 1)) === 0;
}
