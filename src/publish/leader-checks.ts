import { setMaxListeners } from 'node:events';
import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { pause } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { meaningOf } from '../errors.js';
import type { PartitionQueue, PendingPublish } from './partition-queue.js';
import type { PublishStream } from './publish-stream.js';
import { CHECK_BACKOFF, CHECK_TIMEOUT_MS, LONGEST_DENIAL_MS, PAUSE_PER_CHECK_MS } from './timing.js';

/** Takes the results of checks. */
export interface CheckOwner {
  /** The check has ended; a publish may be sent if the broker has passed it. */
  passed(queue: PartitionQueue): void;
  /** The broker does not know the partition. */
  unknown(queue: PartitionQueue): void;
}

/**
 * Checks that a broker leads a partition before the first publish is sent to it, and again after a loss or a refusal. A broker
 * that recovers, or was elected a moment ago, accepts publishes before it leads, and loses them.
 */
export class LeaderChecks {
  readonly #cluster: Cluster;
  readonly #owner: CheckOwner;
  readonly #stopped = new AbortController();
  #running = 0;

  constructor(cluster: Cluster, owner: CheckOwner) {
    this.#cluster = cluster;
    this.#owner = owner;
    setMaxListeners(0, this.#stopped.signal); // a few for each partition
  }

  /** Whether a publish may be sent now. If not, the broker is checked, and the owner is told when the check has ended. */
  hasPassed(queue: PartitionQueue, publishStream: PublishStream<PendingPublish>): boolean {
    if (queue.detour || queue.checked === publishStream) return true;
    if (queue.checking !== publishStream) {
      queue.checking = publishStream;
      void this.#check(queue, publishStream);
    }
    return false;
  }

  /** Ends all checks. */
  stop(): void {
    this.#stopped.abort();
  }

  async #check(queue: PartitionQueue, publishStream: PublishStream<PendingPublish>): Promise<void> {
    const { signal } = this.#stopped;
    const isWanted = (): boolean =>
      !signal.aborted && queue.checking === publishStream && queue.waiting.peek() !== null;
    let denialsEnd: number | null = null;
    this.#running++;
    for (let check = 1; isWanted(); check++) {
      const meaning = await this.#ask(queue, publishStream);
      if (!isWanted()) break;
      if (meaning === 'not-found') this.#owner.unknown(queue);
      else if (meaning !== 'not-leader' || this.#isPaused(queue) || monotonicNow() >= (denialsEnd ?? Infinity)) {
        queue.checked = publishStream;
        break;
      } else denialsEnd ??= monotonicNow() + LONGEST_DENIAL_MS;
      await pause(this.#delayAfter(check), signal);
    }
    this.#running--;
    if (queue.checking === publishStream) queue.checking = null;
    if (!signal.aborted) this.#owner.passed(queue);
  }

  #delayAfter(check: number): number {
    return Math.max(backoffDelay(check, CHECK_BACKOFF), this.#running * PAUSE_PER_CHECK_MS);
  }

  /** The meaning of the refusal of the broker; undefined when it leads the partition, or when that is unknown. */
  async #ask(
    { stream, partition }: PartitionQueue,
    publishStream: PublishStream<PendingPublish>,
  ): Promise<string | undefined> {
    const bounds = { signal: this.#stopped.signal, timeout: CHECK_TIMEOUT_MS };
    try {
      await this.#cluster.callBroker('fetchPartitionMetadata', publishStream.target.id, { stream, partition }, bounds);
      return undefined;
    } catch (error) {
      return meaningOf(error);
    }
  }

  #isPaused({ stream, partition }: PartitionQueue): boolean {
    return this.#cluster.isPaused(stream, partition);
  }
}
