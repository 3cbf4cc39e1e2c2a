import { backoffDelay } from '../../async/backoff.js';
import { deferred } from '../../async/deferred.js';
import { pause } from '../../async/sleep.js';
import { clearTimeout, setTimeout } from '../../async/timers.js';
import { LiftbridgeError } from '../../errors.js';
import type { PartitionAssignment } from '../../protocol/generated/api.js';
import type { ConsumerContext } from '../context.js';
import type { Membership } from '../membership/membership.js';
import { isFatal, isFenced, seemsGone } from '../membership/poll-failure.js';
import { ACQUIRE_BACKOFF, LOSS_WINDOW_MS } from '../timing.js';
import { type AcquireContext, acquirePartition } from './acquire-partition.js';
import type { Announcements } from './announcements.js';
import { type HeldEvents, HeldPartition } from './held-partition.js';
import { type ReleaseContext, releasePartitions } from './release-partitions.js';

/** Encoded bytes of all partitions together that may wait to be processed. */
const BUDGET = 8 * 1024 * 1024;
const LARGEST_SHARE = 1024 * 1024;
const SMALLEST_SHARE = 64 * 1024;

/** The consumer, as its held partitions use it. */
export interface AssignmentEvents extends HeldEvents {
  /** The assignments may have changed: look at once. */
  hurry(): void;
}

/** Stream to partitions, both in order. */
export type PartitionMap = ReadonlyMap<string, number[]>;

/** The changes of one answer of the coordinator. */
export interface Change {
  readonly assigned: PartitionMap;
  readonly revoked: PartitionMap;
}

/** The partitions that this member holds, brought into line with what the coordinator says. */
export class Assignments {
  readonly #context: ConsumerContext;
  readonly #membership: Pick<Membership, 'groupId' | 'consumerId' | 'term'>;
  readonly #announcements: Announcements;
  readonly #events: AssignmentEvents;
  readonly #acquireContext: Omit<AcquireContext, 'ownWorkDone' | 'announce'>;
  readonly #releaseContext: ReleaseContext;
  readonly #held = new Map<string, HeldPartition>();
  /** Partitions that are being released, by key. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** Partitions that are being acquired and were not announced yet. */
  readonly #coming = new Set<HeldPartition>();
  #ownWork: Promise<unknown>[] = [];
  #known = new Set<string>();
  #lost: HeldPartition[] = [];
  #lostTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    context: ConsumerContext,
    membership: Pick<Membership, 'groupId' | 'consumerId' | 'term'>,
    announcements: Announcements,
    acquireContext: Omit<AcquireContext, 'ownWorkDone' | 'announce'>,
    releaseContext: ReleaseContext,
    events: AssignmentEvents,
  ) {
    this.#context = context;
    this.#membership = membership;
    this.#announcements = announcements;
    this.#acquireContext = acquireContext;
    this.#releaseContext = releaseContext;
    this.#events = events;
  }

  /** Every partition that is held. */
  get held(): Iterable<HeldPartition> {
    return this.#held.values();
  }

  /** Stream to partitions that are held. */
  get map(): PartitionMap {
    return toMap([...this.#held].filter(([, { signal }]) => !signal.aborted).map(([key]) => key));
  }

  /** The streams of the last assignment. */
  get known(): ReadonlySet<string> {
    return new Set([...this.#known].map((key) => parseKey(key)[0]));
  }

  /** Resolves when every partition of the first assignment waits for nothing but other members. */
  async waitUntilOwnWorkDone(): Promise<void> {
    await Promise.all(this.#ownWork);
  }

  /** Releases what is not assigned any more, acquires what is new, and keeps the rest. */
  reconcile(assignments: readonly PartitionAssignment[], epoch: bigint): Change {
    if (this.#closed) return { assigned: new Map(), revoked: new Map() };
    this.#releaseLost();
    const wanted = new Set<string>();
    for (const { stream, partitions } of assignments)
      for (const partition of partitions) wanted.add(keyOf(stream, partition));
    this.#release([...this.#held.values()].filter((held) => !wanted.has(keyOf(held.stream, held.partition))));
    for (const held of this.#held.values()) held.epoch = epoch;
    this.#ownWork = [];
    for (const key of wanted) if (!this.#held.has(key)) this.#take(key, epoch);
    const before = this.#known;
    this.#known = wanted;
    return {
      assigned: toMap([...wanted].filter((key) => !before.has(key))),
      revoked: toMap([...before].filter((key) => !wanted.has(key))),
    };
  }

  /** Gives a partition up that the broker gave to another member. */
  releaseLost(held: HeldPartition): void {
    if (this.#held.get(keyOf(held.stream, held.partition)) !== held || held.signal.aborted) return;
    held.stop();
    this.#lost.push(held);
    if (this.#lost.length === 1) this.#lostTimer = setTimeout(() => this.#releaseLost(), LOSS_WINDOW_MS);
    this.#events.hurry();
  }

  /** Gives everything up after the member was expired: others may have had its partitions since. Returns what it had. */
  expire(): PartitionMap {
    this.#release([...this.#held.values()]);
    clearTimeout(this.#lostTimer);
    this.#lost.length = 0;
    const before = toMap(this.#known);
    this.#known = new Set();
    return before;
  }

  /** Gives everything up, for good; `patience` in place of the usual one. Bounded, never rejects. */
  async releaseAll(patience: number, storeTimeout: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#lostTimer);
    this.#release([...this.#held.values()], { ...this.#releaseContext, patience, storeTimeout });
    await this.waitUntilReleased();
  }

  /** Resolves when every release that has begun is complete. */
  async waitUntilReleased(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }

  /** Lets every partition see whether its leader has moved. */
  metadataChanged(): void {
    for (const held of this.#held.values()) held.metadataChanged();
  }

  #releaseLost(): void {
    clearTimeout(this.#lostTimer);
    this.#release(this.#lost.splice(0).filter((held) => this.#held.get(keyOf(held.stream, held.partition)) === held));
  }

  #release(partitions: readonly HeldPartition[], deps = this.#releaseContext): void {
    for (const stream of new Set(partitions.map((held) => held.stream))) {
      const group = partitions.filter((held) => held.stream === stream);
      const released = releasePartitions(stream, group, deps);
      for (const held of group) this.#leave(held, released);
    }
  }

  #leave(held: HeldPartition, released: Promise<void>): void {
    const key = keyOf(held.stream, held.partition);
    this.#held.delete(key);
    this.#coming.delete(held);
    // One that was waiting for an earlier release is released at once: the next one waits for both.
    const earlier = this.#leaving.get(key);
    const leaving = Promise.all([earlier, released]).then(() => {
      if (this.#leaving.get(key) === leaving) this.#leaving.delete(key);
    });
    this.#leaving.set(key, leaving);
  }

  #take(key: string, epoch: bigint): void {
    const [stream, partition] = parseKey(key);
    const { groupId, consumerId, term } = this.#membership;
    const member = { groupId, consumerId, groupEpoch: epoch };
    const share = (): number => this.#share;
    const held = new HeldPartition(this.#context, stream, partition, member, term, share, this.#events);
    this.#held.set(key, held);
    this.#coming.add(held);
    const ownWork = deferred();
    this.#ownWork.push(ownWork.promise);
    void this.#persist(held, key, ownWork.resolve).finally(ownWork.resolve);
  }

  async #persist(held: HeldPartition, key: string, ownWorkDone: () => void): Promise<void> {
    await this.#leaving.get(key);
    for (let attempt = 1; !held.signal.aborted; attempt++) {
      try {
        await acquirePartition(held, { ...this.#acquireContext, ownWorkDone, announce: () => this.#announce(held) });
        return;
      } catch (error) {
        if (held.signal.aborted || this.#isHopeless(held, error)) return;
        if (LiftbridgeError.is(error)) held.trouble.note(error);
        const delay = backoffDelay(attempt, ACQUIRE_BACKOFF);
        const { cluster } = this.#context;
        cluster.logger.debug({ error, stream: held.stream, partition: held.partition }, 'acquiring a partition failed');
        cluster.emit('retry', { operation: 'TakeOver', attempt, delay, error });
        await pause(delay, held.signal);
      }
    }
  }

  #isHopeless(held: HeldPartition, error: unknown): boolean {
    if (isFenced(error)) this.#events.hurry();
    if (seemsGone(error)) this.#events.gone(held, error);
    const hopeless =
      isFatal(error) || ['NO_OFFSET', 'CURSORS_DISABLED', 'HANDLER_FAILED'].some((code) => code === codeOf(error));
    if (hopeless) this.#events.failed(held, error);
    return hopeless;
  }

  #announce(held: HeldPartition): Promise<void> {
    this.#coming.delete(held);
    const others = [...this.#coming].filter(({ stream }) => stream === held.stream);
    return this.#announcements.announce(held, others.length);
  }

  get #share(): number {
    return Math.max(SMALLEST_SHARE, Math.min(LARGEST_SHARE, BUDGET / this.#held.size));
  }
}

function codeOf(error: unknown): string | undefined {
  return LiftbridgeError.is(error) ? error.code : undefined;
}

function keyOf(stream: string, partition: number): string {
  return `${partition} ${stream}`;
}

function parseKey(key: string): [stream: string, partition: number] {
  const space = key.indexOf(' ');
  return [key.slice(space + 1), Number(key.slice(0, space))];
}

function toMap(keys: Iterable<string>): PartitionMap {
  const map = new Map<string, number[]>();
  const pairs = [...keys].map(parseKey).sort(([a, x], [b, y]) => (a === b ? x - y : a < b ? -1 : 1));
  for (const [stream, partition] of pairs) {
    const known = map.get(stream);
    if (known === undefined) map.set(stream, [partition]);
    else known.push(partition);
  }
  return map;
}
