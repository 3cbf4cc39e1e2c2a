import { setMaxListeners } from 'node:events';
import { monotonicNow } from '../async/clock.js';
import { sleep } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { meaningOf } from '../errors.js';
import type { PartitionLane } from './lanes.js';
import type { Route } from './route.js';

/** Milliseconds for one question. A broker that does not answer is sent a publish all the same: a frozen one may go on. */
const ANSWER_MS = 300;
const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;
/** With many partitions at once each of them is asked about less often: milliseconds for each. */
const PAUSE_A_CHECK_MS = 0.5;
/**
 * Milliseconds in which a broker may deny that it leads before it is sent a publish all the same: nobody leads a partition
 * that is paused, and a publish resumes it.
 */
const LONGEST_DENIAL_MS = 2_000;

/** What is told of brokers that were asked. */
export interface CheckOwner {
  /** The broker may be sent a publish now. */
  passed(lane: PartitionLane): void;
  /** The broker does not know the partition. */
  unknown(lane: PartitionLane): void;
}

/**
 * Asks a broker whether it leads a partition before the first publish goes to it, and again after a loss or a refusal. A
 * broker that recovers, or was elected a moment ago, takes publishes before it leads, and loses them.
 */
export class LeaderChecks {
  readonly #cluster: Cluster;
  readonly #owner: CheckOwner;
  readonly #stopped = new AbortController();
  #running = 0;

  constructor(cluster: Cluster, owner: CheckOwner) {
    this.#cluster = cluster;
    this.#owner = owner;
    setMaxListeners(0, this.#stopped.signal); // a few a partition
  }

  /** Whether a publish may go now. If not, the broker is asked, and the owner is told when it may. */
  mayGo(lane: PartitionLane, route: Route): boolean {
    if (lane.detour || lane.checked === route) return true;
    if (lane.checking !== route) {
      lane.checking = route;
      void this.#check(lane, route);
    }
    return false;
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#stopped.abort();
  }

  async #check(lane: PartitionLane, route: Route): Promise<void> {
    const { signal } = this.#stopped;
    const isWanted = (): boolean => !signal.aborted && lane.checking === route && lane.waiting.peek() !== null;
    let denialsEnd: number | null = null;
    this.#running++;
    for (let look = 0; isWanted(); look++) {
      const meaning = await this.#ask(lane, route);
      if (!isWanted()) break;
      if (meaning === 'not-found') this.#owner.unknown(lane);
      else if (meaning !== 'not-leader' || this.#isPaused(lane) || monotonicNow() >= (denialsEnd ?? Infinity)) {
        lane.checked = route;
        break;
      } else denialsEnd ??= monotonicNow() + LONGEST_DENIAL_MS;
      // An abort ends the pause early; the loop looks at the signal itself.
      await sleep(this.#pause(look), signal).catch(() => undefined);
    }
    this.#running--;
    if (lane.checking === route) lane.checking = null;
    if (!signal.aborted) this.#owner.passed(lane);
  }

  #pause(look: number): number {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(look, 10));
    return Math.max(pause, this.#running * PAUSE_A_CHECK_MS);
  }

  /** What the broker's refusal means; undefined when it leads the partition, or nothing can be said. */
  async #ask({ stream, partition }: PartitionLane, route: Route): Promise<string | undefined> {
    const bounds = { signal: this.#stopped.signal, timeout: ANSWER_MS };
    try {
      await this.#cluster.callBroker('fetchPartitionMetadata', route.target.id, { stream, partition }, bounds);
      return undefined;
    } catch (error) {
      return meaningOf(error);
    }
  }

  #isPaused({ stream, partition }: PartitionLane): boolean {
    return this.#cluster.isPaused(stream, partition);
  }
}
