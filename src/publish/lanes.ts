import type { Pending } from './pending.js';
import type { Route } from './route.js';

/** What waits for its turn, first in, first out, with a way back to the front. */
export class Turns {
  #items: Pending[] = [];
  #head = 0;

  get empty(): boolean {
    return this.#head === this.#items.length;
  }

  /** The next that is not settled yet, left where it is. */
  peek(): Pending | null {
    while (this.#head < this.#items.length) {
      const next = this.#items[this.#head]!;
      if (!next.settled) return next;
      this.#head++;
    }
    this.#items = [];
    this.#head = 0;
    return null;
  }

  /** Takes off what `peek` answered. */
  shift(): void {
    this.#head++;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
  }

  push(pending: Pending): void {
    this.#items.push(pending);
  }

  /** Puts these, in their order, before all others. */
  unshift(pendings: readonly Pending[]): void {
    this.#items = [...pendings, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }
}

/** The publishes to one partition, whose order is kept: they share one route at a time. */
export class PartitionLane {
  readonly waiting = new Turns();
  route: Route | null = null;
  /** Version of the metadata under which the route was chosen. */
  version = -1;
  /** Sent on `route` and not settled. While there are any, nothing goes another way. */
  unsettled = 0;

  constructor(
    readonly stream: string,
    readonly partition: number,
  ) {}
}

/** The publishes to one stream; they wait here while the stream is looked up. */
export class StreamLane {
  readonly waiting = new Turns();
  readonly partitions = new Map<number, PartitionLane>();
  /** Number of partitions, 0 while it is not known. */
  count = 0;
  /** Version of the metadata that `count` is from. */
  version = -1;
  lookingUp = false;

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
