import type { PendingPublish } from './pending-publish.js';

/** Settled publishes that may stay in a queue. */
const SLACK = 1024;

/** Publishes that wait, first in, first out. Those that settle while they wait are passed over. */
export class PublishQueue {
  #items: PendingPublish[] = [];
  #head = 0;
  /** Settled publishes from the head on. */
  #settled = 0;

  /** The first that has not settled; it stays. */
  first(): PendingPublish | undefined {
    for (let first = this.#items[this.#head]; first?.settled; first = this.#items[this.#head]) {
      this.#head++;
      this.#settled--;
    }
    if (this.#head === this.#items.length && this.#head > 0) this.clear();
    return this.#items[this.#head];
  }

  /** Takes off what `first` answered. */
  shift(): void {
    this.#items[this.#head++]!.waitsIn = null;
    if (this.#head > SLACK && this.#head * 2 > this.#items.length) this.unshift([]);
  }

  push(publish: PendingPublish): void {
    publish.waitsIn = this;
    this.#items.push(publish);
  }

  /** Puts these, in their order, before all others. */
  unshift(publishes: readonly PendingPublish[]): void {
    for (const publish of publishes) publish.waitsIn = this;
    this.#items = [...publishes, ...this.#items.slice(this.#head)];
    this.#head = 0;
  }

  /** To be called when one of them settles. */
  forget(): void {
    if (++this.#settled <= SLACK || this.#settled * 2 < this.#items.length - this.#head) return;
    this.#items = this.pending();
    this.#head = 0;
    this.#settled = 0;
  }

  /** All that have not settled, in order. */
  pending(): PendingPublish[] {
    return this.#items.slice(this.#head).filter((publish) => !publish.settled);
  }

  /** Takes all out and answers those that have not settled, in order. */
  clear(): PendingPublish[] {
    const pending = this.pending();
    for (const publish of pending) publish.waitsIn = null;
    this.#items = [];
    this.#head = 0;
    this.#settled = 0;
    return pending;
  }
}
