import { balance, type Subscriber } from './balance.js';
import { byteOrder } from './byte-order.js';

/** A member of a consumer group, with its streams and its partitions of each stream. */
export interface GroupMember {
  readonly id: string;
  readonly streams: ReadonlySet<string>;
  /** Partitions by stream, ascending. A stream without partitions of this member is absent. */
  readonly assignments: ReadonlyMap<string, readonly number[]>;
}

/** A consumer group in the metadata. */
export interface Group {
  readonly id: string;
  /** Id of the broker that coordinates it. */
  readonly coordinator: string;
  /** Index of the last operation that changed it; 0n for a group unchanged since its creation. */
  readonly epoch: bigint;
  readonly members: ReadonlyMap<string, GroupMember>;
}

class Member implements GroupMember, Subscriber {
  readonly streams: Set<string>;
  readonly assignments = new Map<string, number[]>();
  /** Number of partitions of all its streams that it holds. */
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
 * The consumer groups of the cluster. Only operations change it, and the same operations in the same order produce the
 * same table on every broker. Operations have been checked before (`cluster/checks.ts`); one that no longer applies is
 * ignored.
 */
export class GroupTable {
  readonly #groups = new Map<string, MutableGroup>();
  readonly #partitionsOf: (stream: string) => number;

  /** `partitionsOf`: current number of partitions of a stream, 0 for an unknown one. */
  constructor(partitionsOf: (stream: string) => number) {
    this.#partitionsOf = partitionsOf;
  }

  get(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Adds a member, and creates its group for the first one; `coordinator` then coordinates it. */
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

  /** Removes a member, and its group with the last one. */
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

  /**
   * Removes a deleted stream from every group that subscribes to it. Call it after `partitionsOf` knows of the
   * deletion.
   */
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
