import { AckPolicy } from '../protocol/generated/api.js';
import type { AckWatch } from './ack-watch.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import { deposedError } from './publish-errors.js';
import type { ReportOutcome } from './publish-outcome.js';
import type { PublishStream } from './publish-stream.js';

/** The owner of publishes in flight. */
export interface FlightOwner {
  /** Takes the results of publishes that fail. */
  readonly report: ReportOutcome;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: PendingPublish): boolean;
}

/** Sends publishes on the publish stream of their queue and removes them from it. */
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

  /** Records that a publish is no longer in flight. The caller removes it from its publish stream. */
  leave(pending: PendingPublish): void {
    if (!pending.sent) return;
    pending.sent = false;
    pending.publishStream = null;
    const queue = pending.queue!;
    queue.unsettled--;
    if (pending.ackPolicy === AckPolicy.LEADER) queue.prompt--;
  }

  /** Stops waiting for the acks of the publishes in flight that pass the test. */
  giveUp(queue: PartitionQueue, test: (pending: PendingPublish) => boolean): void {
    const givenUp = queue.publishStream?.inFlight.take((pending) => pending.queue === queue && test(pending)) ?? [];
    this.release(givenUp, true, deposedError);
  }

  /**
   * Handles publishes that were removed from their publish stream. A publish that cannot be stored twice returns to its queue
   * and is sent again; the others fail. `processed` is false when the broker certainly did not process them.
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

  /** From now on no publish is sent again. */
  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }
}
