/** Stops the source of a buffer that is full, and lets it continue when most is taken. */
export interface BufferOwner {
  pause(): void;
  resume(): void;
}

interface Batch<Item> {
  readonly items: Item[];
  readonly bytes: number;
}

/** Batches that were taken are removed from the array once they are this many and half of it. */
const COMPACT_AT = 256;

/** Batches in the order of their arrival, with a bound in bytes: a full buffer pauses its owner, and resumes it at a quarter. */
export class BatchBuffer<Item> {
  readonly #owner: BufferOwner;
  readonly #limit: () => number;
  #batches: (Batch<Item> | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #full = false;

  /** `limit`: bytes that may wait. */
  constructor(owner: BufferOwner, limit: () => number) {
    this.#owner = owner;
    this.#limit = limit;
  }

  /** Whether the owner is paused. */
  get isFull(): boolean {
    return this.#full;
  }

  /** The first batch, which stays in; null when there is none. */
  get first(): Item[] | null {
    return this.#batches[this.#head]?.items ?? null;
  }

  /** Adds a batch that is not empty. */
  push(items: Item[], bytes: number): void {
    this.#batches.push({ items, bytes });
    this.#bytes += bytes;
    if (this.#full || this.#bytes < this.#limit()) return;
    this.#full = true;
    this.#owner.pause();
  }

  /** Takes the first batch out; null when there is none. */
  shift(): Item[] | null {
    const batch = this.#batches[this.#head];
    if (batch === undefined) return null;
    this.#advance();
    this.#bytes -= batch.bytes;
    if (this.#full && this.#bytes <= this.#limit() / 4) {
      this.#full = false;
      this.#owner.resume();
    }
    return batch.items;
  }

  /** Drops everything, without an event. */
  clear(): void {
    this.#batches = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#full = false;
  }

  /** A buffer that is never empty must not hold what was taken. */
  #advance(): void {
    this.#batches[this.#head++] = undefined;
    if (this.#head === this.#batches.length) this.#batches = [];
    else if (this.#head < COMPACT_AT || this.#head * 2 < this.#batches.length) return;
    else this.#batches.splice(0, this.#head);
    this.#head = 0;
  }
}
