import type { TimeoutEntry } from '../async/timeout-queue.js';
import { Fifo } from '../collections/fifo.js';
import type { PublishFields } from '../protocol/publish-request.js';
import type { Ack } from '../protocol/received-ack.js';
import type { Entry } from './admission-queue.js';
import type { Partitioner } from './partitioners.js';
import type { PublishStream } from './publish-stream.js';

/** Called exactly once when a publish settles. The error is a LiftbridgeError or the reason of an abort. */
export type Settle = (error: unknown, ack: Ack | null) => void;

/** The publishes between two flushes. */
export interface Generation {
  open: number;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

/** A publish from the call until it is settled: the request on the wire and its state. `PublishRecords` makes it. */
export interface PendingPublish extends PublishFields, Entry, TimeoutEntry<PendingPublish> {
  /** Its place in the order of the publisher; part of the correlation id unless the caller chose that. */
  readonly number: number;
  /** Whether the caller chose the correlation id. */
  readonly chosenId: boolean;
  /** The partition that the caller chose; null for none. */
  readonly fixedPartition: number | null;
  readonly partitioner: Partitioner | null;
  readonly timeout: number;
  readonly generation: Generation;
  readonly settle: Settle;
  /** The signal that ends it, if any. */
  readonly signal: AbortSignal | null;
  settled: boolean;
  /** Whether it takes room in the admission queue. */
  admitted: boolean;
  /** True once it was written to the publish stream of a broker: only the broker knows the outcome then. */
  sent: boolean;
  /** How often it was sent and may have been stored. */
  attempts: number;
  /** Number of responses of its partition when it was sent. */
  responsesBefore: number;
  /** The highest offset that its partition had acknowledged when it was sent. */
  offsetBefore: bigint;
  partition: number;
  queue: PartitionQueue | null;
  publishStream: PublishStream<PendingPublish> | null;
  /** Acks of other streams on its subject. */
  otherAcks: Ack[] | null;
  /** The error of the last attempt. */
  lastError: unknown;
  /** Makes the error for its caller, once it has failed together with others. */
  errorOf: ((pending: PendingPublish) => unknown) | null;
}

/** Publishes that wait, first in, first out. A publish that settles while it waits is skipped. */
export class WaitingPublishes {
  readonly #queue = new Fifo<PendingPublish>();

  /** Whether the queue is empty; settled publishes count. */
  get empty(): boolean {
    return this.#queue.empty;
  }

  /** The first that is not settled, which stays in; null when there is none. */
  peek(): PendingPublish | null {
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      if (!first.settled) return first;
      this.#queue.shift();
    }
    return null;
  }

  /** Removes the publish that `peek` returned. */
  shift(): void {
    this.#queue.shift();
  }

  push(pending: PendingPublish): void {
    this.#queue.push(pending);
  }

  /** Adds these, in their order, before all others. */
  unshift(pendings: readonly PendingPublish[]): void {
    this.#queue.unshift(pendings);
  }

  /** Removes all and returns those that are not settled, in order. */
  clear(): PendingPublish[] {
    return this.#queue.clear().filter(({ settled }) => !settled);
  }
}

/** State of a queue whose partition may have no leader that acknowledges. */
export interface Trouble {
  /** The next publish that asks for an ack goes out at this time at the earliest, as of `monotonicNow()`. */
  probeAt: number;
  /** Publishes with acks of all replicas that went out since the last probe. */
  passed: number;
  /** How often in a row it was refused by brokers that cannot store it at the moment. */
  refusals: number;
  /** Addresses of the brokers that refused; others are tried first. */
  readonly refusedBy: Set<string>;
  /** Publishes that were sent and not stored. They are sent again before all others, once nothing is in flight. */
  returned: PendingPublish[];
}

/** The publishes to one partition. They share one publish stream at a time, which keeps their order. */
export class PartitionQueue {
  readonly waiting = new WaitingPublishes();
  /** Whether some publishes ask for the ack of the leader: only these show soon whether there is a leader. */
  hasLeaderAcks = false;
  publishStream: PublishStream<PendingPublish> | null = null;
  /** The publish stream whose broker has passed the check that it leads the partition. */
  checked: PublishStream<PendingPublish> | null = null;
  /** The publish stream whose broker is being checked. */
  checking: PublishStream<PendingPublish> | null = null;
  /** Version of the metadata under which the publish stream was chosen; -1 to choose again. */
  version = -1;
  /** Publishes sent on `publishStream` and not settled. */
  unsettled = 0;
  /** Publishes among them with the ack of the leader, which comes within a round trip when the leader works. */
  prompt = 0;
  /** Number of responses to its publishes. */
  responses = 0;
  /** The highest number of a publish that was acknowledged. */
  newestAcked = -1;
  /** The highest offset that was acknowledged. */
  newestOffset = -1n;
  /** Null while acks come, and publishes are pipelined. Otherwise they are sent one at a time, as probes. */
  trouble: Trouble | null = null;
  /** True while its publishes go through a broker other than the leader. */
  detour = false;
  /** End of the wait for acks before a change to another publish stream, as of `monotonicNow()`; null without such a wait. */
  leaveAt: number | null = null;
  /** Time of the next attempt at a change that would have lost acks, as of `monotonicNow()`. */
  retryAt = 0;
  /** `responses` at the last check of the acks. */
  seenResponses = 0;
  /** Checks in a row that found publishes in flight and no new response. */
  silentChecks = 0;

  constructor(
    readonly stream: string,
    readonly partition: number,
  ) {}

  /** Starts sending publishes as probes, and returns the state of that. */
  beginTrouble(): Trouble {
    if (this.trouble === null) {
      this.trouble = { probeAt: 0, passed: 0, refusals: 0, refusedBy: new Set(), returned: [] };
      this.checked = null;
    }
    return this.trouble;
  }

  /** Returns a publish that is sent again, before all later ones. */
  giveBack(pending: PendingPublish): void {
    this.beginTrouble().returned.push(pending);
  }
}

/** The publishes to one stream. They wait here while the stream is looked up. */
export class StreamQueue {
  readonly waiting = new WaitingPublishes();
  readonly partitions = new Map<number, PartitionQueue>();
  /** Number of partitions; 0 while it is unknown. Kept while a recovering broker does not know the stream. */
  count = 0;
  /** Version of the metadata that `count` was read from. */
  version = -1;
  lookingUp = false;
  /** Whether a check runs that the stream still exists. */
  checkingExistence = false;

  constructor(readonly name: string) {}

  queue(partition: number): PartitionQueue {
    let queue = this.partitions.get(partition);
    if (queue === undefined) {
      queue = new PartitionQueue(this.name, partition);
      this.partitions.set(partition, queue);
    }
    return queue;
  }
}
