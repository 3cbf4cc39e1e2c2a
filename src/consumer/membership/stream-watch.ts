import { clearInterval, setInterval } from '../../async/timers.js';
import { type Cluster, type Existence, hasEnded, untilCertain } from '../../cluster/cluster-api.js';
import { StreamDeletedError } from '../../errors.js';
import { EXISTENCE_TIMEOUT_MS, LEADER_CHECK_MS } from '../timing.js';

/** Receives the findings of a watch. */
export interface WatchEvents {
  /** The cached leaders are up to date. */
  refreshed(): void;
  /** A stream was deleted, others are left. */
  deleted(error: StreamDeletedError): void;
  /** Every stream was deleted. */
  failed(error: StreamDeletedError): void;
}

/** Watches the streams of a consumer: their leaders, and whether they exist. */
export class StreamWatch {
  readonly #cluster: Cluster;
  readonly #events: WatchEvents;
  readonly #stopped = new AbortController();
  readonly #unlisten: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Creation times by name: a later stream of the same name is another one. */
  readonly #streams: Map<string, number | null>;
  readonly #looking = new Set<string>();

  constructor(cluster: Cluster, streams: readonly string[], events: WatchEvents) {
    this.#cluster = cluster;
    this.#events = events;
    this.#streams = new Map(streams.map((stream) => [stream, cluster.createdAt(stream)]));
    this.#unlisten = cluster.on('leaderChange', ({ stream }) => {
      if (this.#streams.has(stream)) events.refreshed();
    });
    // A leader that was replaced but still runs keeps subscriptions open, and delivers nothing new.
    this.#timer = setInterval(() => void this.#refresh(), LEADER_CHECK_MS).unref();
  }

  /** The streams that were not deleted, as far as it knows. */
  get streams(): string[] {
    return [...this.#streams.keys()];
  }

  /** Finds out in the background whether a stream is gone; `deletedBy`: the broker that says so. */
  look(stream: string, deletedBy?: string): void {
    if (this.#looking.has(stream) || !this.#streams.has(stream)) return;
    this.#looking.add(stream);
    const { signal } = this.#stopped;
    untilCertain(this.#cluster, this.#sought(stream, deletedBy), { signal })
      .then((existence) => this.#decided(stream, existence))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => this.#looking.delete(stream));
  }

  /** Finds out which streams are left; what is not certain within 5 s counts as there. Never rejects. */
  async check(): Promise<void> {
    const bounds = { signal: this.#stopped.signal, timeout: EXISTENCE_TIMEOUT_MS };
    const decide = async (stream: string): Promise<void> => {
      try {
        this.#decided(stream, await this.#cluster.existence(this.#sought(stream), bounds));
      } catch (error) {
        this.#failed(error);
      }
    };
    await Promise.all(this.streams.map(decide));
  }

  stop(): void {
    this.#stopped.abort();
    this.#unlisten();
    clearInterval(this.#timer);
  }

  #sought(stream: string, deletedBy?: string): { stream: string; createdAt: number | null; deletedBy?: string } {
    const createdAt = this.#streams.get(stream) ?? null;
    return deletedBy === undefined ? { stream, createdAt } : { stream, createdAt, deletedBy };
  }

  #decided(stream: string, existence: Existence): void {
    if (this.#stopped.signal.aborted) return;
    if (existence === 'present') this.#events.refreshed();
    if (hasEnded(existence)) this.#gone(stream);
  }

  #gone(stream: string): void {
    if (!this.#streams.delete(stream)) return;
    const left = this.#streams.size;
    const advice = left > 0 ? 'The consumer continues with the others.' : 'It was the last one of the consumer.';
    const error = new StreamDeletedError(`Stream "${stream}" was deleted. ${advice}`, {
      stream,
      operation: 'consumer.subscribe',
    });
    if (left > 0) this.#events.deleted(error);
    else this.#events.failed(error);
  }

  async #refresh(): Promise<void> {
    try {
      await this.#cluster.refresh(this.streams, { signal: this.#stopped.signal });
      this.#events.refreshed();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.#stopped.signal.aborted) return;
    this.#cluster.logger.debug({ err: error }, 'looking for the streams of a consumer failed');
  }
}
