import { cursorPartition, probeId } from '../../admin/cursor-stream.js';
import { monotonicNow } from '../../async/clock.js';
import { CURSORS_STREAM } from '../../options.js';
import type { ConsumerContext } from '../context.js';
import { FAILOVER_MS } from '../timing.js';
import type { HeldPartition } from './held-partition.js';

/** Whether cursors can be written: yes, no, or not by every member yet since each finds the new leaders by itself. */
export type Writability = 'yes' | 'no' | 'settling';

/**
 * Tells whether a member could write its cursors at the moment. While a broker that has stopped is a replica still, or while a
 * member looks for the new leader, cursors can be read and not written.
 */
export class WriteProbe {
  readonly #context: ConsumerContext;
  readonly #cursorIds: readonly string[];
  readonly #unlisten: () => void;
  #lostAt = Number.NEGATIVE_INFINITY;
  /** Writes under way, by partition of the cursors stream: all that wait for it share one. */
  readonly #writing = new Map<number, Promise<boolean>>();

  /** `cursorIds`: the cursors in question. */
  constructor(context: ConsumerContext, cursorIds: readonly string[]) {
    this.#context = context;
    this.#cursorIds = cursorIds;
    this.#unlisten = context.cluster.on('disconnect', () => {
      this.#lostAt = monotonicNow();
    });
  }

  /** Writes cursors that the same brokers keep, within `within` milliseconds. */
  async canWrite(held: HeldPartition, within: number): Promise<Writability> {
    const partitions = this.#context.cluster.partitionCount(CURSORS_STREAM);
    const homes = new Set(this.#cursorIds.map((id) => cursorPartition(id, held.stream, held.partition, partitions)));
    const written = await Promise.all([...homes].map((home) => this.#write(home, probeId(home, partitions), within)));
    if (written.includes(false)) return 'no';
    return monotonicNow() - this.#lostAt < FAILOVER_MS ? 'settling' : 'yes';
  }

  #write(home: number, cursorId: string, timeout: number): Promise<boolean> {
    const running = this.#writing.get(home);
    if (running !== undefined) return running;
    const writing = this.#context.cursors.set(cursorId, CURSORS_STREAM, 0, 0n, { timeout }).then(
      () => true,
      () => false,
    );
    this.#writing.set(home, writing);
    void writing.then(() => this.#writing.delete(home));
    return writing;
  }

  /** Ends listening. */
  stop(): void {
    this.#unlisten();
  }
}
