import { Fifo } from '../collections/fifo.js';
import type { Pending } from './pending.js';
import type { Route } from './route.js';

/** Publishes that wait, first in, first out. Those that settle while they wait are skipped. */
export class WaitingPublishes {
  readonly #queue = new Fifo<Pending>();

  /** Whether nothing is left, settled publishes included. */
  get empty(): boolean {
    return this.#queue.empty;
  }

  /** The first that is not settled, which stays in; null when there is none. */
  peek(): Pending | null {
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

  push(pending: Pending): void {
    this.#queue.push(pending);
  }

  /** Adds these, in their order, before all others. */
  unshift(pendings: readonly Pending[]): void {
    this.#queue.unshift(pendings);
  }

  /** Removes all and returns those that are not settled, in order. */
  clear(): Pending[] {
    return this.#queue.clear().filter(({ settled }) => !settled);
  }
}

/** What a lane needs to know while nothing shows that its partition has a leader that acknowledges. */
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
  returned: Pending[];
}

/** The publishes to one partition, whose order is kept: they share one route at a time. */
export class PartitionLane {
  readonly waiting = new WaitingPublishes();
  /** Whether publishes with the leader's ack go this way: only those show soon whether there is a leader. */
  hasLeaderAcks = false;
  route: Route | null = null;
  /** The route whose broker was asked whether it leads the partition, and may be sent publishes. */
  checked: Route | null = null;
  /** The route whose broker is being asked. */
  checking: Route | null = null;
  /** Version of the metadata under which the route was chosen; -1 to choose again. */
  version = -1;
  /** Sent on `route` and not settled. */
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
  /** When a change to another route ends the wait for what is in flight, as of `monotonicNow()`; null while there is no change. */
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

  /** The lane's trouble; from now on publishes go out as probes. */
  beginTrouble(): Trouble {
    if (this.trouble === null) {
      this.trouble = { probeAt: 0, passed: 0, refusals: 0, refusedBy: new Set(), returned: [] };
      this.checked = null;
    }
    return this.trouble;
  }

  /** Gives back a publish that was sent and is to be sent again, in its place before all that were called later. */
  giveBack(pending: Pending): void {
    this.beginTrouble().returned.push(pending);
  }
}

/** The publishes to one stream; they wait here while the stream is looked up. */
export class StreamLane {
  readonly waiting = new WaitingPublishes();
  readonly partitions = new Map<number, PartitionLane>();
  /** Number of partitions, 0 while it is not known; kept while brokers that recover do not know the stream. */
  count = 0;
  /** Version of the metadata that `count` is from. */
  version = -1;
  lookingUp = false;
  /** Whether it is being found out if the stream still exists. */
  inDoubt = false;

  constructor(readonly name: string) {}

  lane(partition: number): PartitionLane {
    let lane = this.partitions.get(partition);
    if (lane === undefined) {
      lane = new PartitionLane(this.name, partition);
      this.partitions.set(partition, lane);
    }
    return lane;
  }
}
