import { monotonicNow } from '../async/clock.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { AckPolicy } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { AckWatch } from './ack-watch.js';
import type { BrokerChoice } from './broker-choice.js';
import { FlightControl, type FlightOwner } from './flight-control.js';
import { Handover } from './handover.js';
import { LeaderChecks } from './leader-checks.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import { delayProbe, hasTime, isDue } from './probe-pacing.js';
import { lostError, overtakenError, refusedError } from './publish-errors.js';
import { PublishStream } from './publish-stream.js';
import type { PublishStreams } from './publish-streams.js';
import { QueueWakeups } from './queue-wakeups.js';
import { SHORTEST_PROBE_MS, SHORTEST_WAIT_MS, STALL_PAUSE_MS } from './timing.js';

/** Limits of what one turn of the event loop sends of a queue. */
const MESSAGES_A_TURN = 1_024;
const BYTES_A_TURN = 4 * 1024 * 1024;

/** The owner of a sender. */
export interface SenderOwner extends FlightOwner {
  /** The leader of the queue's partition may have changed. */
  searchLeader(queue: PartitionQueue): void;
  /** A broker does not know the queue's partition. */
  unknownPartition(queue: PartitionQueue): void;
}

/**
 * Sends the publishes of each partition, in order. While acks come, publishes are pipelined. Once acks stop, or the connection
 * was lost, publishes are sent one at a time, as probes, until one is acknowledged: a partition without a leader loses
 * publishes.
 */
export class PartitionSender {
  readonly #cluster: Cluster;
  readonly #owner: SenderOwner;
  readonly #publishStreams: PublishStreams;
  readonly #choice: BrokerChoice;
  readonly #wakeups = new QueueWakeups((queue) => this.pump(queue));
  readonly #flights: FlightControl;
  readonly #handover: Handover;
  readonly #checks: LeaderChecks;
  #stopped = false;

  /** `queues` returns all queues. */
  constructor(
    cluster: Cluster,
    owner: SenderOwner,
    publishStreams: PublishStreams,
    choice: BrokerChoice,
    queues: () => Iterable<PartitionQueue>,
  ) {
    this.#cluster = cluster;
    this.#owner = owner;
    this.#publishStreams = publishStreams;
    this.#choice = choice;
    this.#checks = new LeaderChecks(cluster, {
      passed: (queue) => this.pump(queue),
      unknown: (queue) => owner.unknownPartition(queue),
    });
    this.#flights = new FlightControl(owner, new AckWatch(queues, (queue) => this.#handleSilence(queue)));
    this.#handover = new Handover(this.#flights, this.#wakeups);
  }

  /** Sends a publish, or adds it to those that wait. */
  submit(queue: PartitionQueue, pending: PendingPublish): void {
    if (pending.ackPolicy === AckPolicy.LEADER) queue.hasLeaderAcks = true;
    const idle = queue.waiting.empty;
    if (idle && queue.trouble === null) {
      const { publishStream } = queue;
      if (
        publishStream?.usable &&
        queue.version === this.#cluster.version &&
        (queue.checked === publishStream || queue.detour)
      ) {
        this.#flights.send(publishStream, queue, pending);
        return;
      }
    }
    queue.waiting.push(pending);
    if (idle) this.pump(queue);
  }

  /** Sends the waiting publishes that may be sent now, and schedules the next call for the rest. */
  pump(queue: PartitionQueue): void {
    if (this.#stopped || !this.#restoreReturned(queue)) return;
    if (queue.waiting.peek() === null) {
      // Lost publishes can fill maxInFlight, so that no further publish comes to wait.
      if (queue.trouble !== null && queue.unsettled > 0) this.#publishStreamOf(queue);
      return;
    }
    const now = monotonicNow();
    let messages = MESSAGES_A_TURN;
    let bytes = BYTES_A_TURN;
    for (let next = queue.waiting.peek(); next !== null; next = queue.waiting.peek()) {
      if (messages-- <= 0 || bytes <= 0) {
        this.#wakeups.nextTurn(queue);
        return;
      }
      if (hasTime(next, now, queue.trouble === null ? SHORTEST_WAIT_MS : SHORTEST_PROBE_MS)) {
        const publishStream = this.#publishStreamOf(queue);
        if (publishStream === null || !this.#checks.hasPassed(queue, publishStream)) return;
        if (!isDue(queue, next, now)) {
          this.#wakeups.at(queue, queue.trouble!.probeAt);
          return;
        }
        if (queue.trouble !== null && queue.trouble.returned.length > 0) {
          this.#wakeups.nextTurn(queue);
          return;
        }
        queue.waiting.shift();
        this.#flights.send(publishStream, queue, next);
        bytes -= next.bytes;
      } else queue.waiting.shift();
    }
  }

  /** Removes a settled publish from its publish stream, and sends what waited for it. */
  remove(pending: PendingPublish): void {
    pending.publishStream?.inFlight.delete(pending);
    this.#flights.leave(pending);
    const { queue } = pending;
    if (queue === null) return;
    if (queue.unsettled > 0 && (queue.leaveAt === null || queue.prompt > 0)) return;
    if (queue.detour) queue.version = -1;
    if (!queue.waiting.empty || queue.trouble !== null) this.pump(queue);
  }

  /** Records that a broker has acknowledged a publish (`stored`), or has refused it for good. */
  recordResponse(pending: PendingPublish, stored: boolean): void {
    const queue = pending.queue!;
    queue.responses++;
    if (stored && pending.number > queue.newestAcked) queue.newestAcked = pending.number;
    if (queue.trouble !== null && queue.trouble.returned.length === 0) this.#recover(queue, pending, stored);
  }

  /** Takes back a publish that a broker refused temporarily and did not store. It is sent again, in its order. */
  takeBack(pending: PendingPublish, error: unknown): void {
    const queue = pending.queue!;
    const trouble = queue.beginTrouble();
    if (pending.publishStream !== null) trouble.refusedBy.add(pending.publishStream.target.address);
    queue.checked = null;
    pending.publishStream?.inFlight.delete(pending);
    this.#flights.leave(pending);
    pending.attempts--;
    pending.lastError = error;
    queue.responses++;
    // Refusals that come together count as one.
    if (trouble.returned.length === 0) {
      delayProbe(trouble, monotonicNow());
      this.#wakeups.at(queue, trouble.probeAt);
    }
    queue.giveBack(pending);
  }

  /** Records that a publish had no response within its timeout. When its queue had none either, publishes become probes. */
  recordTimeout(pending: PendingPublish): void {
    const { queue, publishStream } = pending;
    if (queue === null || publishStream === null || queue.responses !== pending.responsesBefore) return;
    this.#beginTrouble(queue);
    publishStream.checkLiveness();
    publishStream.resetWhenStuck();
  }

  /** Fails all waiting publishes of a queue. */
  failWaiting(queue: PartitionQueue, errorOf: (pending: PendingPublish) => unknown): void {
    const pendings = queue.trouble?.returned ?? [];
    if (queue.trouble !== null) queue.trouble.returned = [];
    this.#owner.report({ kind: 'all-failed', pendings: [...pendings, ...queue.waiting.clear()], errorOf });
  }

  /**
   * Takes back the publishes in flight of these queues after their publish stream has ended. A publish that cannot be stored
   * twice is sent again; the others fail.
   */
  takeBackLost(
    queues: Iterable<PartitionQueue>,
    lost: readonly PendingPublish[],
    { target }: PublishStream<PendingPublish>,
    end: StreamEnd,
  ): void {
    for (const queue of queues) {
      queue.beginTrouble();
      queue.version = -1;
      queue.leaveAt = null;
    }
    // Last, since callers may publish again from their callbacks: all earlier publishes are in the queue by now.
    this.#flights.release(lost, end.processed, (pending) => lostError(target, end, pending));
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#wakeups.stop();
    this.#checks.stop();
    this.#flights.stop();
  }

  /** The publish stream to send on now. Null when there is none: the queue is called again then. */
  #publishStreamOf(queue: PartitionQueue): PublishStream<PendingPublish> | null {
    const { publishStream: current } = queue;
    const { version } = this.#cluster;
    if (current?.usable && queue.version === version) return current;
    const chosen = this.#choice.choose(queue);
    if (chosen === null) {
      // A broker that does not respond at all must not block the queue until the connection attempt times out.
      this.#wakeups.at(queue, monotonicNow() + (this.#publishStreams.blockedFor ?? STALL_PAUSE_MS));
      return null;
    }
    if (!(chosen instanceof PublishStream)) {
      this.failWaiting(queue, (pending) => refusedError(pending, chosen));
      return null;
    }
    const isFree = chosen === current || queue.unsettled === 0;
    const publishStream = isFree ? chosen : this.#handover.streamFor(queue, chosen, monotonicNow());
    if (publishStream === null) return null;
    queue.leaveAt = null;
    if (publishStream !== current && queue.detour) queue.beginTrouble();
    queue.publishStream = publishStream;
    queue.version = version;
    return publishStream;
  }

  /** Puts back the publishes that are sent again, once no publish in flight can be stored before them. False until then. */
  #restoreReturned(queue: PartitionQueue): boolean {
    const { trouble } = queue;
    if (trouble === null || trouble.returned.length === 0) return true;
    if (queue.unsettled > 0 && !this.#handover.giveUpAfter(queue, monotonicNow())) return false;
    queue.leaveAt = null;
    const returned = trouble.returned.filter(({ settled }) => !settled).sort((a, b) => a.number - b.number);
    trouble.returned = [];
    const overtaken = returned.findLastIndex(({ number }) => number < queue.newestAcked) + 1;
    queue.waiting.unshift(returned.slice(overtaken));
    this.#owner.report({ kind: 'all-failed', pendings: returned.slice(0, overtaken), errorOf: overtakenError });
    return true;
  }

  #recover(queue: PartitionQueue, pending: PendingPublish, stored: boolean): void {
    queue.trouble = null;
    // A leader acknowledges in order: a publish that it has skipped was lost, and a late ack for it would be wrong.
    if (stored && pending.ackPolicy === AckPolicy.LEADER)
      this.#flights.giveUp(queue, ({ number, ackPolicy }) => number < pending.number && ackPolicy === AckPolicy.LEADER);
    if (!queue.waiting.empty || queue.trouble !== null) this.#wakeups.nextTurn(queue);
  }

  /** Acks have stopped although the connection is open. */
  #handleSilence(queue: PartitionQueue): void {
    queue.publishStream?.checkLiveness();
    if (queue.trouble !== null) queue.publishStream?.resetWhenStuck();
    // Acks of all replicas may take until a follower is removed from the ISR, so they prove nothing.
    if (queue.prompt > 0) this.#beginTrouble(queue);
    this.#owner.searchLeader(queue);
  }

  #beginTrouble(queue: PartitionQueue): void {
    if (queue.trouble !== null) return;
    queue.beginTrouble();
    this.pump(queue);
  }
}
