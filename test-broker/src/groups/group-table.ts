import { balance, type Subscriber } from './balance.js';
import { byteOrder } from './byte-order.js';

/** A member of a consumer group: what it subscribes to, and the partitions that it was given of each stream. */
export interface GroupMember {
  readonly id: string;
  readonly streams: ReadonlySet<string>;
  /** Stream to partitions, ascending. A stream of which it holds nothing is absent. */
  readonly assignments: ReadonlyMap<string, readonly number[]>;
}

/** A consumer group as the metadata has it. */
export interface Group {
  readonly id: string;
  /** Id of the broker that coordinates it. */
  readonly coordinator: string;
  /** Index of the last operation that changed it; 0n for a group that is as it was created. */
  readonly epoch: bigint;
  readonly members: ReadonlyMap<string, GroupMember>;
}

class Member implements GroupMember, Subscriber {
  readonly streams: Set<string>;
  readonly assignments = new Map<string, number[]>();
  /** Partitions that it holds of all its streams. */
  count = 0;

  constructor(
    readonly id: string,
    streams: Iterable<string>,
  ) {
    this.streams = new Set(streams);
  }
}

class MutableGroup implements Group {
  epoch = 0n;
  readonly members = new Map<string, Member>();

  constructor(
    readonly id: string,
    public coordinator: string,
  ) {}

  subscribers(stream: string): Member[] {
    const found: Member[] = [];
    for (const member of this.members.values()) {
      if (member.streams.has(stream)) found.push(member);
    }
    return found.sort((a, b) => byteOrder(a.id, b.id));
  }
}

/**
 * The consumer groups of the cluster. It only ever changes by operations, and the same operations in the same order
 * make the same table on every broker. Operations have been checked before (`cluster/checks.ts`): what no longer
 * applies when it arrives is passed over.
 */
export class GroupTable {
  readonly #groups = new Map<string, MutableGroup>();
  readonly #partitionsOf: (stream: string) => number;

  /** `partitionsOf`: how many partitions a stream has now, 0 for one that is unknown. */
  constructor(partitionsOf: (stream: string) => number) {
    this.#partitionsOf = partitionsOf;
  }

  get(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Adds a member, and the group with it when it is the first; `coordinator` is then its coordinator. */
  join(id: string, consumer: string, streams: readonly string[], coordinator: string, index: bigint): void {
    let group = this.#groups.get(id);
    if (group?.members.has(consumer)) return;
    if (group) group.epoch = index;
    else {
      group = new MutableGroup(id, coordinator);
      this.#groups.set(id, group);
    }
    const member = new Member(consumer, streams);
    group.members.set(consumer, member);
    for (const stream of sorted(member.streams)) this.#balance(group, stream);
  }

  /** Takes a member out; the last one takes the group with it. */
  leave(id: string, consumer: string, index: bigint): void {
    const group = this.#groups.get(id);
    const member = group?.members.get(consumer);
    if (!group || !member) return;
    group.members.delete(consumer);
    if (group.members.size === 0) {
      this.#groups.delete(id);
      return;
    }
    for (const stream of sorted(member.streams)) {
      if (member.assignments.has(stream)) this.#balance(group, stream);
    }
    group.epoch = index;
  }

  changeCoordinator(id: string, coordinator: string, index: bigint): void {
    const group = this.#groups.get(id);
    if (!group) return;
    group.coordinator = coordinator;
    group.epoch = index;
  }

  /** Drops a stream that is gone from every group that subscribes to it. Call it when `partitionsOf` knows already. */
  deleteStream(stream: string, index: bigint): void {
    for (const group of this.#groups.values()) {
      const affected = group.subscribers(stream);
      if (affected.length === 0) continue;
      const others = new Set<string>();
      for (const member of affected) {
        drop(member, stream);
        for (const other of member.streams) others.add(other);
      }
      for (const other of sorted(others)) this.#balance(group, other);
      group.epoch = index;
    }
  }

  #balance(group: MutableGroup, stream: string): void {
    balance(stream, group.subscribers(stream), this.#partitionsOf(stream));
  }
}

function drop(member: Member, stream: string): void {
  member.streams.delete(stream);
  member.count -= member.assignments.get(stream)?.length ?? 0;
  member.assignments.delete(stream);
}

function sorted(streams: Iterable<string>): string[] {
  return [...streams].sort(byteOrder);
}
