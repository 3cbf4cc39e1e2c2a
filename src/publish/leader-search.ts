import { monotonicNow } from '../async/clock.js';
import { pause } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import type { PartitionQueue } from './partition-queue.js';
import { FIRST_SEARCH_PAUSE_MS, LONGEST_SEARCH_PAUSE_MS, SEARCH_PAUSE_GROWTH } from './timing.js';

/**
 * Refreshes the metadata of streams whose broker was lost or does not acknowledge, while publishes wait and the trouble lasts.
 * One search at a time serves all queues.
 */
export class LeaderSearch {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  readonly #grace: number;
  readonly #pump: (queue: PartitionQueue) => void;
  /** The queues that are served, each with its end of the grace period. */
  readonly #queues = new Map<PartitionQueue, number>();
  #running = false;

  /** `pump` is called for each queue after each refresh. */
  constructor(cluster: Cluster, grace: number, signal: AbortSignal, pump: (queue: PartitionQueue) => void) {
    this.#cluster = cluster;
    this.#grace = grace;
    this.#signal = signal;
    this.#pump = pump;
  }

  /** Searches for the leaders of these queues: at least for the grace period, and while they are in trouble. */
  start(queues: Iterable<PartitionQueue>): void {
    const until = monotonicNow() + this.#grace;
    for (const queue of queues) this.#queues.set(queue, until);
    if (this.#running || this.#queues.size === 0) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    let delay = FIRST_SEARCH_PAUSE_MS;
    while (this.#queues.size > 0 && !this.#signal.aborted) {
      await this.#refresh();
      const now = monotonicNow();
      for (const [queue, until] of this.#queues) {
        this.#pump(queue);
        const idle = queue.waiting.empty && queue.unsettled === 0;
        if (idle || (now >= until && queue.trouble === null)) this.#queues.delete(queue);
      }
      if (this.#queues.size > 0) await pause(delay, this.#signal);
      delay = Math.min(LONGEST_SEARCH_PAUSE_MS, delay * SEARCH_PAUSE_GROWTH);
    }
    this.#running = false;
  }

  /** After a failed refresh the queues continue with the metadata that is known. */
  async #refresh(): Promise<void> {
    const streams = new Set([...this.#queues.keys()].map((queue) => queue.stream));
    try {
      await this.#cluster.refresh([...streams], { signal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#cluster.logger.debug({ err: error }, 'metadata refresh after a lost publish stream failed');
    }
  }
}
