import type { TimeoutEntry } from '../async/timeout-queue.js';
import { Fifo } from '../collections/fifo.js';
import type { PublishFields } from '../protocol/publish-request.js';
import type { Ack } from '../protocol/received-ack.js';
import type { Entry } from './admission-queue.js';
import type { Partitioner } from './partitioners.js';
import type { PublishStream } from './publish-stream.js';

/** How a publish is told its end: exactly one call. An error is a LiftbridgeError, or the reason of an abort. */
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
  /** Responses that its partition had had when it was sent. */
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

/** Publishes that wait, first in, first out. Those that settle while they wait are skipped. */
export class WaitingPublishes {
  readonly #queue = new Fifo<PendingPublish>();

  /** Whether nothing is left, settled publishes included. */
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

/** State of a queue while there is no proof that its partition has a leader that acknowledges. */
export interface Trouble {
  /** The next publish that asks for an ack goes out at this time at the earliest, as of `monotonicNow()`. */
  probeAt: number;
  /** Publishes with acks of all replicas that went out since the last probe. */
  passed: number;
  /** How often in a row it was refused by brokers that cannot store it at the moment. */
  refusals: number;
  /** Addresses of the brokers that refused; others are asked first. */
  readonly refusedBy: Set<string>;
  /** Sent, certainly not stored, and to be sent again before all others once nothing is in flight any more. */
  returned: PendingPublish[];
}

/** The publishes to one partition, whose order is kept: they share one publish stream at a time. */
export class PartitionQueue {
  readonly waiting = new WaitingPublishes();
  /** Whether publishes with the leader's ack go this way: only those show soon whether there is a leader. */
  hasLeaderAcks = false;
  publishStream: PublishStream<PendingPublish> | null = null;
  /** The publish stream whose broker was asked whether it leads the partition, and may be sent publishes. */
  checked: PublishStream<PendingPublish> | null = null;
  /** The publish stream whose broker is being asked. */
  checking: PublishStream<PendingPublish> | null = null;
  /** Version of the metadata under which the publish stream was chosen; -1 to choose again. */
  version = -1;
  /** Publishes sent on `publishStream` and not settled. */
  unsettled = 0;
  /** Those of them that the leader acknowledges on its own: a leader that works does so within a round trip. */
  prompt = 0;
  /** How many responses came for its publishes. */
  responses = 0;
  /** The highest number of a publish that was acknowledged. */
  newestAcked = -1;
  /** The highest offset that was acknowledged. */
  newestOffset = -1n;
  /** Null while acks come: publishes are pipelined then. Otherwise they go out one at a time, as probes. */
  trouble: Trouble | null = null;
  /** True while its publishes go by way of a broker other than the leader. */
  detour = false;
  /** When a change to another publish stream ends the wait for what is in flight, as of `monotonicNow()`; null while there is no change. */
  leaveAt: number | null = null;
  /** A change that could not take place without loss is tried again at this time, as of `monotonicNow()`. */
  retryAt = 0;
  /** `responses` as of the last look, and how many looks have seen no other number while publishes were unsettled. */
  seen = 0;
  silentLooks = 0;

  constructor(
    readonly stream: string,
    readonly partition: number,
  ) {}

  /** The queue's trouble; from now on publishes go out as probes. */
  beginTrouble(): Trouble {
    if (this.trouble === null) {
      this.trouble = { probeAt: 0, passed: 0, refusals: 0, refusedBy: new Set(), returned: [] };
      this.checked = null;
    }
    return this.trouble;
  }

  /** Gives back a publish that was sent and is to be sent again, in its place before all that were called later. */
  giveBack(pending: PendingPublish): void {
    this.beginTrouble().returned.push(pending);
  }
}

/** The publishes to one stream; they wait here while the stream is looked up. */
export class StreamQueue {
  readonly waiting = new WaitingPublishes();
  readonly partitions = new Map<number, PartitionQueue>();
  /** Number of partitions, 0 while it is not known; kept while brokers that recover do not know the stream. */
  count = 0;
  /** Version of the metadata that `count` is from. */
  version = -1;
  lookingUp = false;
  /** Whether it is being found out if the stream still exists. */
  inDoubt = false;

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
