import { cursorPartition } from '../../admin/cursor-stream.js';
import { monotonicNow } from '../../async/clock.js';
import { clearTimeout, setTimeout } from '../../async/timers.js';
import { LiftbridgeError } from '../../errors.js';
import { CURSORS_STREAM } from '../../options.js';
import type { ConsumerContext } from '../context.js';
import { CHECKPOINT_RETRY_MS } from '../timing.js';
import type { HeldPartition } from './held-partition.js';
import type { Ownership } from './ownership.js';

/** The membership, as checkpoints use it. */
export interface Standing {
  readonly groupId: string;
  readonly isCurrent: boolean;
  readonly term: number;
}

/** Keeps the positions of the group in cursors that go-liftbridge reads and writes, too: `__group:<id>`. */
export class Checkpoints {
  /** The cursors that positions are kept in. */
  readonly cursorId: string;
  readonly #context: ConsumerContext;
  readonly #membership: Standing;
  readonly #ownership: Ownership;
  readonly #storing = new Map<HeldPartition, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(context: ConsumerContext, membership: Standing, ownership: Ownership) {
    this.#context = context;
    this.#membership = membership;
    this.#ownership = ownership;
    this.cursorId = `__group:${membership.groupId}`;
  }

  /** The offset of the last message that the group has processed; -1n when it has none. */
  fetch(held: HeldPartition): Promise<bigint> {
    const waiting = { signal: held.signal };
    return this.#context.cursors.fetch(this.cursorId, held.stream, held.partition, waiting);
  }

  /** Sets where the group begins in a partition that it has no position in. */
  async begin(held: HeldPartition, position: bigint): Promise<void> {
    const waiting = { signal: held.signal };
    await this.#context.cursors.set(this.cursorId, held.stream, held.partition, position - 1n, waiting);
  }

  /** Stores what was processed of a partition. Rejects with a LiftbridgeError. */
  async store(held: HeldPartition, timeout?: number): Promise<void> {
    // One after the other: a slow write must not overwrite a later one.
    while (this.#storing.has(held)) await this.#storing.get(held)!.catch(() => undefined);
    if (!this.#isDue(held)) return;
    const storing = this.#store(held, timeout).finally(() => this.#storing.delete(held));
    this.#storing.set(held, storing);
    await storing;
  }

  /** Stores what was processed of all of them; rejects with the first failure when all were tried. */
  async storeAll(partitions: Iterable<HeldPartition>): Promise<void> {
    const homes = new Map<number, HeldPartition[]>();
    for (const held of partitions) {
      if (!this.#isDue(held)) continue;
      const home = this.#homeOf(held);
      homes.set(home, [...(homes.get(home) ?? []), held]);
    }
    const results = await Promise.allSettled([...homes].map(([home, due]) => this.#storeAt(home, due)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Stores at this interval in milliseconds; a failure is reported as 'asyncError' and tried again sooner. */
  start(interval: number, partitions: () => Iterable<HeldPartition>): void {
    const again = (delay: number): void => {
      this.#timer = setTimeout(() => {
        void this.storeAll(partitions()).then(
          () => schedule(interval),
          (error: unknown) => {
            this.#context.cluster.emit('asyncError', LiftbridgeError.from(error));
            schedule(Math.min(interval, CHECKPOINT_RETRY_MS));
          },
        );
      }, delay);
    };
    let stopped = false;
    const schedule = (delay: number): void => {
      if (!stopped) again(delay);
    };
    this.stop = () => {
      stopped = true;
      clearTimeout(this.#timer);
    };
    schedule(interval);
  }

  /** Ends the timer. */
  stop: () => void = () => undefined;

  #isDue(held: HeldPartition): boolean {
    return held.unstored !== null || monotonicNow() < held.verifyUntil;
  }

  #homeOf({ stream, partition }: HeldPartition): number {
    return cursorPartition(this.cursorId, stream, partition, this.#context.cluster.partitionCount(CURSORS_STREAM));
  }

  /**
   * Makes a harmless call to the broker that keeps the cursors first: a write that is sent into a dead connection may arrive
   * late, when another member has already stored a later position.
   */
  async #storeAt(home: number, due: readonly HeldPartition[]): Promise<void> {
    const request = { stream: CURSORS_STREAM, partition: home };
    try {
      await this.#context.cluster.callLeader('fetchPartitionMetadata', CURSORS_STREAM, home, request, {});
    } catch (error) {
      // Setting a cursor resumes the partition.
      if (!LiftbridgeError.is(error, 'PARTITION_PAUSED'))
        throw LiftbridgeError.from(error, { operation: 'checkpoint', stream: CURSORS_STREAM, partition: home });
    }
    const results = await Promise.allSettled(due.map((held) => this.store(held)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #store(held: HeldPartition, timeout: number | undefined): Promise<void> {
    const offset = held.unstored ?? held.stored;
    const { stream, partition } = held;
    try {
      if (await this.#wasTaken(held, offset, timeout)) return;
      if (held.unstored === null && !(await this.#wasSetBack(held, offset, timeout))) return;
      await this.#context.cursors.set(this.cursorId, stream, partition, offset, { timeout });
      held.markStored(offset);
    } catch (error) {
      throw LiftbridgeError.from(error, { operation: 'checkpoint', stream, partition });
    }
  }

  /** A checkpoint of an earlier owner that was cut off may arrive late. */
  async #wasSetBack(
    { stream, partition }: HeldPartition,
    offset: bigint,
    timeout: number | undefined,
  ): Promise<boolean> {
    return (await this.#context.cursors.fetch(this.cursorId, stream, partition, { timeout })) < offset;
  }

  /**
   * Whether others have had the partition since this member took it over: their position must not be set back. That is
   * possible once the member may have been expired, also when it has joined again since. Members of other clients leave
   * no mark, but a position.
   */
  async #wasTaken(held: HeldPartition, offset: bigint, timeout: number | undefined): Promise<boolean> {
    if (this.#membership.isCurrent && held.term === this.#membership.term) return false;
    const mark = await this.#ownership.read(held.stream, held.partition, { timeout });
    if (this.#ownership.isOvertaken(mark, held.generation)) return true;
    return (await this.#context.cursors.fetch(this.cursorId, held.stream, held.partition, { timeout })) > offset;
  }
}
