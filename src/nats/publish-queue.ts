import { Fifo } from '../collections/fifo.js';
import type { PendingPublish } from './pending-publish.js';

/** Settled publishes that may stay in a queue. */
const SLACK = 1024;

/** Publishes that wait, first in, first out. Those that settle while they wait are skipped. */
export class PublishQueue {
  readonly #queue = new Fifo<PendingPublish>();
  /** Settled publishes in the queue. */
  #settled = 0;

  /** The first that is not settled, which stays in. */
  first(): PendingPublish | undefined {
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

  push(publish: PendingPublish): void {
    publish.waitsIn = this;
    this.#queue.push(publish);
  }

  /** Adds these, in their order, before all others. */
  unshift(publishes: readonly PendingPublish[]): void {
    for (const publish of publishes) publish.waitsIn = this;
    this.#queue.unshift(publishes);
  }

  /** To be called when a publish in the queue settles. */
  forget(): void {
    if (++this.#settled <= SLACK || this.#settled * 2 < this.#queue.size) return;
    this.#queue.retain((publish) => !publish.settled);
    this.#settled = 0;
  }

  /** All that are not settled, in order. */
  pending(): PendingPublish[] {
    return this.#queue.toArray().filter((publish) => !publish.settled);
  }

  /** Removes all and returns those that are not settled, in order. */
  clear(): PendingPublish[] {
    const pending = this.pending();
    for (const publish of pending) publish.waitsIn = null;
    this.#queue.clear();
    this.#settled = 0;
    return pending;
  }
}
