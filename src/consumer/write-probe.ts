import { monotonicNow } from '../async/clock.js';
import { cursorPartition } from '../cluster/cursors.js';
import type { ConsumerContext } from './context.js';
import type { HeldPartition } from './held-partition.js';

const CURSORS = '__cursors';
/** More names than are needed to find one for each partition of the cursors stream. */
const NAMES = 10_000;
/** Milliseconds after the loss of a broker in which the writes of members may take long: each finds the new leaders by itself. */
const FAILOVER = 15_000;

/**
 * Tells whether a member could write its cursors at the moment. While a broker that has stopped is a replica still, or while a
 * member looks for the new leader, cursors can be read and not written.
 */
export class WriteProbe {
  readonly #context: ConsumerContext;
  readonly #cursorIds: readonly string[];
  readonly #unlisten: () => void;
  #lostAt = Number.NEGATIVE_INFINITY;

  /** `cursorIds`: the cursors in question. */
  constructor(context: ConsumerContext, cursorIds: readonly string[]) {
    this.#context = context;
    this.#cursorIds = cursorIds;
    this.#unlisten = context.cluster.on('disconnect', () => {
      this.#lostAt = monotonicNow();
    });
  }

  /** Writes cursors that the same brokers keep, within so many milliseconds. */
  async canWrite(held: HeldPartition, within: number): Promise<boolean> {
    return monotonicNow() - this.#lostAt >= FAILOVER && (await this.write(held, within));
  }

  /** The same, whatever was lost: a write lets a broker without replicas know what is committed. */
  async write(held: HeldPartition, within: number): Promise<boolean> {
    const { stream, partition, signal } = held;
    const write = (id: string) => this.#context.setCursor(id, stream, partition, 0n, { signal, timeout: within });
    const results = await Promise.allSettled(this.#neighbours(held).map(write));
    return results.every(({ status }) => status === 'fulfilled');
  }

  /** Ends listening. */
  stop(): void {
    this.#unlisten();
  }

  /** Cursors of no meaning in the same partitions of the cursors stream. */
  #neighbours({ stream, partition }: HeldPartition): string[] {
    const partitions = this.#context.cluster.partitionCount(CURSORS);
    const homeOf = (id: string): number => cursorPartition(id, stream, partition, partitions);
    const neighbours = new Map<number, string>();
    for (const id of this.#cursorIds) {
      const home = homeOf(id);
      for (let n = 0; n < NAMES && !neighbours.has(home); n++)
        if (homeOf(`${id}:probe${n}`) === home) neighbours.set(home, `${id}:probe${n}`);
    }
    return [...neighbours.values()];
  }
}
