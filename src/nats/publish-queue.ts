import { Fifo } from '../collections/fifo.js';

/** Settled publishes that may stay in a queue. */
const SLACK = 1024;

/** A publish, as a queue needs it. */
export interface QueuedPublish<T extends QueuedPublish<T>> {
  readonly settled: boolean;
  /** The queue that it waits in; set by the queue. */
  waitsIn: PublishQueue<T> | null;
}

/** Publishes that wait, first in, first out. Those that settle while they wait are skipped. */
export class PublishQueue<T extends QueuedPublish<T>> {
  readonly #queue = new Fifo<T>();
  /** Settled publishes in the queue. */
  #settled = 0;

  /** The first that is not settled, which stays in. */
  first(): T | undefined {
    for (let first = this.#queue.first; first?.settled; first = this.#queue.first) {
      this.#queue.shift();
      this.#settled--;
    }
    return this.#queue.first;
  }

  /** Removes the publish that `first` returned. */
  shift(): void {
    this.#queue.shift()!.waitsIn = null;
  }

  push(publish: T): void {
    publish.waitsIn = this;
    this.#queue.push(publish);
  }

  /** Adds these, in their order, before all others. */
  unshift(publishes: readonly T[]): void {
    for (const publish of publishes) publish.waitsIn = this;
    this.#queue.unshift(publishes);
  }

  /** Records that a publish in the queue has settled. */
  recordSettled(): void {
    if (++this.#settled <= SLACK || this.#settled * 2 < this.#queue.size) return;
    this.#queue.retain((publish) => !publish.settled);
    this.#settled = 0;
  }

  /** All that are not settled, in order. */
  pending(): T[] {
    return this.#queue.toArray().filter((publish) => !publish.settled);
  }

  /** Removes all and returns those that are not settled, in order. */
  clear(): T[] {
    const pending = this.pending();
    for (const publish of pending) publish.waitsIn = null;
    this.#queue.clear();
    this.#settled = 0;
    return pending;
  }
}
