import { monotonicNow } from '../async/clock.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import type { LiftbridgeError } from '../errors.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import type { PublishStream } from './publish-stream.js';
import type { PublishStreams } from './publish-streams.js';
import { LEADER_GRACE_MS } from './timing.js';

/** Chooses the broker for the publishes of a queue: the leader, or another one while the leader is unreachable. */
export class BrokerChoice {
  readonly #cluster: Cluster;
  readonly #publishStreams: PublishStreams;
  /** Queues that wait until a publish stream is open. */
  readonly #waiting = new WeakMap<PublishStream<PendingPublish>, Set<PartitionQueue>>();

  constructor(cluster: Cluster, publishStreams: PublishStreams) {
    this.#cluster = cluster;
    this.#publishStreams = publishStreams;
  }

  /**
   * A publish stream that can be written to now. Null when there is none; one is being opened then. An error when the leader
   * refuses this client permanently.
   */
  choose(queue: PartitionQueue): PublishStream<PendingPublish> | LiftbridgeError | null {
    const leader = this.#cluster.leader(queue.stream, queue.partition);
    if (leader === null || queue.trouble?.refusedBy.has(leader.address)) return this.#other(queue, leader);
    const publishStream = this.#publishStreams.to(leader);
    queue.detour = false;
    if (publishStream.usable) return publishStream;
    const now = monotonicNow();
    const blocked = publishStream.blockedUntil > now;
    if (publishStream.refusal !== null) {
      if (!blocked) publishStream.open();
      return publishStream.refusal;
    }
    if (!blocked) this.#open(publishStream, queue);
    if (now - (publishStream.failingSince ?? now) >= LEADER_GRACE_MS) return this.#other(queue, leader);
    // Publishes stay where acks come until the connection to the new leader is open.
    return queue.publishStream?.usable && queue.trouble === null ? this.#detour(queue, queue.publishStream) : null;
  }

  /** Every broker accepts a publish. The broker that has served this partition is preferred. */
  #other(queue: PartitionQueue, leader: BrokerTarget | null): PublishStream<PendingPublish> | null {
    const except = new Set(queue.trouble?.refusedBy);
    if (leader !== null) except.add(leader.address);
    if (queue.publishStream?.usable && !except.has(queue.publishStream.target.address))
      return this.#detour(queue, queue.publishStream);
    const publishStream = this.#chooseOther(queue, except) ?? this.#publishStreams.anyUsable(except);
    if (publishStream !== null) return this.#detour(queue, publishStream);
    // Every broker has refused or is unreachable: the next round begins with the leader.
    queue.trouble?.refusedBy.clear();
    return null;
  }

  /** Null when no stream is usable yet; the chosen one is being opened then. */
  #chooseOther(queue: PartitionQueue, except: ReadonlySet<string>): PublishStream<PendingPublish> | null {
    const tried = new Set(except);
    const now = monotonicNow();
    for (;;) {
      const target = this.#anyBroker(queue, tried);
      if (target === null || tried.has(target.address)) return null;
      const publishStream = this.#publishStreams.to(target);
      if (publishStream.usable) return publishStream;
      if (publishStream.blockedUntil <= now) {
        this.#open(publishStream, queue);
        return null;
      }
      tried.add(target.address);
    }
  }

  #anyBroker(queue: PartitionQueue, except: ReadonlySet<string>): BrokerTarget | null {
    try {
      return this.#cluster.anyBroker(except);
    } catch (error) {
      const first = queue.waiting.peek();
      if (first !== null) first.lastError = error;
      return null;
    }
  }

  #detour(queue: PartitionQueue, publishStream: PublishStream<PendingPublish>): PublishStream<PendingPublish> {
    queue.detour = true;
    return publishStream;
  }

  #open(publishStream: PublishStream<PendingPublish>, queue: PartitionQueue): void {
    const queues = this.#waiting.get(publishStream);
    if (queues === undefined) this.#waiting.set(publishStream, new Set([queue]));
    else queues.add(queue);
    publishStream.open();
  }

  /** Removes and returns the queues that wait for a publish stream. */
  takeWaiting(publishStream: PublishStream<PendingPublish>): PartitionQueue[] {
    const queues = this.#waiting.get(publishStream) ?? [];
    this.#waiting.delete(publishStream);
    return [...queues];
  }
}
