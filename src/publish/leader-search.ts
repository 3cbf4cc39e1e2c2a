import { monotonicNow } from '../async/clock.js';
import { sleep } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import type { PartitionLane } from './lanes.js';

/** A failover takes a moment: milliseconds between two looks, at first and in the end. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 500;
const PAUSE_GROWTH = 1.1;

/**
 * Refreshes the metadata of streams whose broker was lost or does not acknowledge, for as long as publishes wait and the
 * trouble lasts. One search at a time serves all lanes.
 */
export class LeaderSearch {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  readonly #grace: number;
  readonly #pump: (lane: PartitionLane) => void;
  /** Lanes to serve, and until when. */
  readonly #lanes = new Map<PartitionLane, number>();
  #running = false;

  /** `pump` is called for each lane after each refresh. */
  constructor(cluster: Cluster, grace: number, signal: AbortSignal, pump: (lane: PartitionLane) => void) {
    this.#cluster = cluster;
    this.#grace = grace;
    this.#signal = signal;
    this.#pump = pump;
  }

  /** Looks for the leaders of these lanes: for the grace at least, and while they are in trouble. */
  start(lanes: Iterable<PartitionLane>): void {
    const until = monotonicNow() + this.#grace;
    for (const lane of lanes) this.#lanes.set(lane, until);
    if (this.#running || this.#lanes.size === 0) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    let pause = FIRST_PAUSE;
    while (this.#lanes.size > 0 && !this.#signal.aborted) {
      await this.#refresh();
      const now = monotonicNow();
      for (const [lane, until] of this.#lanes) {
        this.#pump(lane);
        const idle = lane.waiting.empty && lane.unsettled === 0;
        if (idle || (now >= until && lane.trouble === null)) this.#lanes.delete(lane);
      }
      // An abort ends the pause early; the loop looks at the signal itself.
      if (this.#lanes.size > 0) await sleep(pause, this.#signal).catch(() => undefined);
      pause = Math.min(LONGEST_PAUSE, pause * PAUSE_GROWTH);
    }
    this.#running = false;
  }

  /** A failed refresh is not lost: the lanes go on with what is known. */
  async #refresh(): Promise<void> {
    const streams = new Set([...this.#lanes.keys()].map((lane) => lane.stream));
    try {
      await this.#cluster.refresh([...streams], { signal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#cluster.logger.debug({ error }, 'metadata refresh after a lost publish stream failed');
    }
  }
}
