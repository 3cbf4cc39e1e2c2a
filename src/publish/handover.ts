import type { FlightControl } from './flight-control.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import type { PublishStream } from './publish-stream.js';
import type { QueueWakeups } from './queue-wakeups.js';
import { HANDOVER_MS, RETIREMENT_MS, RETRY_CHANGE_MS, TROUBLED_HANDOVER_MS } from './timing.js';

/** Moves queues whose publishes are in flight to another publish stream. */
export class Handover {
  readonly #flights: FlightControl;
  readonly #wakeups: QueueWakeups;

  constructor(flights: FlightControl, wakeups: QueueWakeups) {
    this.#flights = flights;
    this.#wakeups = wakeups;
  }

  /**
   * The publish stream that the queue may send on; null while it has to wait. Publishes on two streams at once could overtake
   * each other, so the publishes in flight get a moment to be acknowledged. After that the queue keeps its stream if acks
   * come there. If none come, the publishes in flight are given up: a late ack would mean that they were stored behind later
   * ones, or it would come from a former leader that does not know that it was replaced.
   */
  streamFor(
    queue: PartitionQueue,
    chosen: PublishStream<PendingPublish>,
    now: number,
  ): PublishStream<PendingPublish> | null {
    const current = queue.publishStream!;
    if (!current.usable || queue.trouble !== null) {
      const graceMs = queue.trouble === null ? RETIREMENT_MS : TROUBLED_HANDOVER_MS;
      return this.giveUpAfter(queue, now, graceMs) ? chosen : null;
    }
    if (now >= queue.retryAt) {
      // Acks of all replicas may take long: only publishes with the leader's ack are worth the wait.
      if (queue.prompt > 0 && !this.#hasWaited(queue, now, HANDOVER_MS)) return null;
      queue.retryAt = now + RETRY_CHANGE_MS;
    }
    queue.detour = true;
    return current;
  }

  /** Gives up the publishes in flight once they have had their time. False before that: the queue is called again then. */
  giveUpAfter(queue: PartitionQueue, now: number, graceMs = HANDOVER_MS): boolean {
    if (!this.#hasWaited(queue, now, graceMs)) return false;
    this.#flights.giveUp(queue, () => true);
    return true;
  }

  #hasWaited(queue: PartitionQueue, now: number, graceMs: number): boolean {
    queue.leaveAt ??= now + graceMs;
    if (now < queue.leaveAt) {
      this.#wakeups.at(queue, queue.leaveAt);
      return false;
    }
    queue.leaveAt = null;
    return true;
  }
}
