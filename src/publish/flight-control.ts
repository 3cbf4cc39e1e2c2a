import { AckPolicy } from '../protocol/generated/api.js';
import type { AckWatch } from './ack-watch.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import { deposedError } from './publish-errors.js';
import type { ReportResult } from './publish-result.js';
import type { PublishStream } from './publish-stream.js';

/** The owner of publishes in flight. */
export interface FlightOwner {
  /** Takes the results of publishes that fail. */
  readonly report: ReportResult;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: PendingPublish): boolean;
}

/** Puts publishes in flight on the publish stream of their queue, and takes them off it. */
export class FlightControl {
  readonly #owner: FlightOwner;
  readonly #watch: AckWatch;
  #stopped = false;

  constructor(owner: FlightOwner, watch: AckWatch) {
    this.#owner = owner;
    this.#watch = watch;
  }

  /** Sends a publish on a publish stream that is usable. */
  send(publishStream: PublishStream<PendingPublish>, queue: PartitionQueue, pending: PendingPublish): void {
    try {
      pending.attempts++;
      if (pending.ackPolicy === AckPolicy.NONE) {
        publishStream.writeUnacknowledged(pending);
        return;
      }
      publishStream.write(pending);
    } catch (error) {
      this.#owner.report({ kind: 'failed', pending, error });
      return;
    }
    pending.sent = true;
    pending.publishStream = publishStream;
    pending.responsesBefore = queue.responses;
    pending.offsetBefore = queue.newestOffset;
    queue.unsettled++;
    if (pending.ackPolicy === AckPolicy.LEADER) queue.prompt++;
    publishStream.inFlight.add(pending);
    this.#watch.start();
  }

  /** Counts a publish off that was in flight; its publish stream has forgotten it, or will. */
  leave(pending: PendingPublish): void {
    if (!pending.sent) return;
    pending.sent = false;
    pending.publishStream = null;
    const queue = pending.queue!;
    queue.unsettled--;
    if (pending.ackPolicy === AckPolicy.LEADER) queue.prompt--;
  }

  /** Waits no longer for acks of those in flight that pass the test. */
  giveUp(queue: PartitionQueue, test: (pending: PendingPublish) => boolean): void {
    const given = queue.publishStream?.inFlight.take((pending) => pending.queue === queue && test(pending)) ?? [];
    this.release(given, true, deposedError);
  }

  /**
   * Takes publishes off their publish stream. Those that this cannot store twice are given back to their queues, to be sent again; the
   * others end with an error. `processed` is false when the broker certainly did nothing with them.
   */
  release(
    pendings: readonly PendingPublish[],
    processed: boolean,
    errorOf: (pending: PendingPublish) => unknown,
  ): void {
    const failed: PendingPublish[] = [];
    for (const pending of pendings) {
      this.leave(pending);
      if (!processed) pending.attempts--;
      if (this.#stopped || (processed && !this.#owner.mayRepeat(pending))) failed.push(pending);
      else if (!pending.settled) pending.queue!.giveBack(pending);
    }
    this.#owner.report({ kind: 'all-failed', pendings: failed, errorOf });
  }

  /** Sends nothing again from now on. */
  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }
}
