import { clearInterval, setInterval } from '../async/timers.js';

/** Refreshes the metadata of streams in use at an interval: a stream that was created again may have another number of partitions. */
export class MetadataAge {
  readonly #maxAge: number;
  readonly #refresh: (streams: readonly string[]) => Promise<void>;
  readonly #isKnown: (stream: string) => boolean;
  readonly #used = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  /** `refresh` must not reject; streams that are not known any more are not refreshed. */
  constructor(
    maxAge: number,
    refresh: (streams: readonly string[]) => Promise<void>,
    isKnown: (stream: string) => boolean,
  ) {
    this.#maxAge = maxAge;
    this.#refresh = refresh;
    this.#isKnown = isKnown;
  }

  /** Records that a caller relies on the number of the stream's partitions. */
  used(stream: string): void {
    this.#used.add(stream);
    this.#timer ??= setInterval(() => this.#tick(), this.#maxAge).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#used.clear();
  }

  #tick(): void {
    for (const stream of this.#used) if (!this.#isKnown(stream)) this.#used.delete(stream);
    if (this.#used.size > 0) void this.#refresh([...this.#used]);
  }
}
