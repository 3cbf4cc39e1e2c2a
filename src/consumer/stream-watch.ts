import { clearInterval, setInterval } from '../async/timers.js';
import type { Cluster } from '../cluster/contract.js';
import { LiftbridgeError, StreamDeletedError } from '../errors.js';
import { pause } from './pauses.js';

/** Milliseconds between two looks at whether the leaders are still the leaders. */
const LOOK_EVERY = 15_000;
/** A stream that so many looks in a row do not find is gone: one broker may lag behind the others. */
const LOOKS = 5;
const BETWEEN_LOOKS = 50;

/** What the watch tells. */
export interface WatchEvents {
  /** What is known of the leaders is fresh. */
  refreshed(): void;
  /** A stream was deleted, others are left. */
  deleted(error: StreamDeletedError): void;
  /** Every stream was deleted. */
  failed(error: StreamDeletedError): void;
}

/** Keeps an eye on the streams of a consumer: on their leaders, and on whether they exist. */
export class StreamWatch {
  readonly #cluster: Cluster;
  readonly #events: WatchEvents;
  readonly #stopped = new AbortController();
  readonly #unlisten: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #streams: Set<string>;
  #looking = false;

  constructor(cluster: Cluster, streams: readonly string[], events: WatchEvents) {
    this.#cluster = cluster;
    this.#events = events;
    this.#streams = new Set(streams);
    this.#unlisten = cluster.on('leaderChange', ({ stream }) => {
      if (this.#streams.has(stream)) events.refreshed();
    });
    // A leader that was replaced but lives keeps subscriptions open and has nothing new to tell.
    this.#timer = setInterval(() => void this.#refresh(), LOOK_EVERY).unref();
  }

  /** The streams that exist as far as it knows. */
  get streams(): string[] {
    return [...this.#streams];
  }

  /** Takes note of a stream that was deleted for sure; one that was created anew under its name is another. */
  gone(stream: string): void {
    if (!this.#streams.delete(stream)) return;
    const left = this.#streams.size;
    const advice = left > 0 ? 'The consumer goes on with the others.' : 'It was the last one of the consumer.';
    const error = new StreamDeletedError(`Stream "${stream}" was deleted. ${advice}`, {
      stream,
      operation: 'consumer.subscribe',
    });
    if (left > 0) this.#events.deleted(error);
    else this.#events.failed(error);
  }

  /** Finds out which streams are left, in the background. */
  look(): void {
    if (this.#looking || this.#stopped.signal.aborted) return;
    this.#looking = true;
    void this.check().finally(() => {
      this.#looking = false;
    });
  }

  /** Finds out which streams are left; never rejects. */
  async check(): Promise<void> {
    let missing = this.streams;
    for (let look = 1; look <= LOOKS && missing.length > 0; look++) {
      if (look > 1) await pause(BETWEEN_LOOKS, this.#stopped.signal);
      if (this.#stopped.signal.aborted || !(await this.#refresh())) return;
      missing = missing.filter((stream) => this.#cluster.partitionCount(stream) === 0);
    }
    if (this.#stopped.signal.aborted) return;
    for (const stream of missing) this.gone(stream);
  }

  stop(): void {
    this.#stopped.abort();
    this.#unlisten();
    clearInterval(this.#timer);
  }

  async #refresh(): Promise<boolean> {
    try {
      await this.#cluster.refresh(this.streams, { signal: this.#stopped.signal });
      this.#events.refreshed();
      return true;
    } catch (error) {
      if (!this.#stopped.signal.aborted && LiftbridgeError.is(error))
        this.#cluster.logger.debug({ error }, 'metadata refresh for a consumer failed');
      return false;
    }
  }
}
