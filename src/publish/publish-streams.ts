import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import type { PendingPublish } from './partition-queue.js';
import { PublishStream, type PublishStreamListener, type PublishStreamSettings } from './publish-stream.js';
import { CLOSE_GRACE_MS } from './timing.js';

/** The publish streams of a publisher: one for each broker at a time. */
export class PublishStreams {
  readonly #cluster: Cluster;
  readonly #settings: PublishStreamSettings;
  readonly #listener: PublishStreamListener<PendingPublish>;
  readonly #current = new Map<string, PublishStream<PendingPublish>>();
  /** Publish streams that accept nothing new but still wait for acks. */
  readonly #retiring = new Set<PublishStream<PendingPublish>>();

  constructor(cluster: Cluster, settings: PublishStreamSettings, listener: PublishStreamListener<PendingPublish>) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#listener = listener;
  }

  /** The publish stream to a broker, in any state. */
  to(target: BrokerTarget): PublishStream<PendingPublish> {
    const known = this.#current.get(target.address);
    if (known !== undefined && !known.retired) return known;
    if (known !== undefined && !known.closed) this.#retiring.add(known);
    const publishStream = new PublishStream<PendingPublish>(target, this.#cluster, this.#settings, this.#listener);
    this.#current.set(target.address, publishStream);
    return publishStream;
  }

  /** A publish stream that can be written to now, to a broker whose address is not in `except`. */
  anyUsable(except: ReadonlySet<string>): PublishStream<PendingPublish> | null {
    for (const [address, publishStream] of this.#current)
      if (publishStream.usable && !except.has(address)) return publishStream;
    return null;
  }

  /** Removes a retired publish stream whose stream has ended. */
  remove(publishStream: PublishStream<PendingPublish>): void {
    this.#retiring.delete(publishStream);
    const { address } = publishStream.target;
    if (publishStream.retired && this.#current.get(address) === publishStream) this.#current.delete(address);
  }

  /** Milliseconds until the first blocked publish stream may be opened again; null when none is blocked. */
  get blockedFor(): number | null {
    const now = monotonicNow();
    let soonest = Number.POSITIVE_INFINITY;
    for (const { blockedUntil } of this.#current.values())
      if (blockedUntil > now) soonest = Math.min(soonest, blockedUntil);
    return Number.isFinite(soonest) ? soonest - now : null;
  }

  /** Ends all publish streams: gracefully until `deadline` (as of `monotonicNow()`), then by cancelling them. */
  async close(deadline: number): Promise<void> {
    const publishStreams = [...this.#current.values(), ...this.#retiring];
    for (const publishStream of publishStreams) publishStream.retire();
    const graceMs = Math.max(0, Math.min(deadline - monotonicNow(), CLOSE_GRACE_MS));
    const timer = setTimeout(() => {
      for (const publishStream of publishStreams) publishStream.cancel();
    }, graceMs);
    await Promise.all(publishStreams.map((publishStream) => publishStream.ended()));
    clearTimeout(timer);
  }
}
