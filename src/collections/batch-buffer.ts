import { Fifo } from './fifo.js';

/** Stops the source of a buffer that is full, and lets it continue when most is taken. */
export interface BufferOwner {
  pause(): void;
  resume(): void;
}

interface Batch<Item> {
  readonly items: Item[];
  readonly bytes: number;
}

/** Batches in the order of their arrival, with a bound in bytes: a full buffer pauses its owner, and resumes it at a quarter. */
export class BatchBuffer<Item> {
  readonly #owner: BufferOwner;
  readonly #limit: () => number;
  readonly #batches = new Fifo<Batch<Item>>();
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
    return this.#batches.first?.items ?? null;
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
    const batch = this.#batches.shift();
    if (batch === undefined) return null;
    this.#bytes -= batch.bytes;
    if (this.#full && this.#bytes <= this.#limit() / 4) {
      this.#full = false;
      this.#owner.resume();
    }
    return batch.items;
  }

  /** Drops everything, without an event. */
  clear(): void {
    this.#batches.clear();
    this.#bytes = 0;
    this.#full = false;
  }
}
