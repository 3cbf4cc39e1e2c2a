import type { PendingPublish } from './pending-publish.js';

/** Front of the queue that may be settled already before it is cut off. */
const SLACK = 1024;

/** Keeps what is under way within bounds, and what comes beyond in order. */
export class Window {
  readonly #limit: { readonly messages: number; readonly bytes: number };
  readonly #send: (publish: PendingPublish) => void;
  readonly #inFlight = new Set<PendingPublish>();
  #bytes = 0;
  #queue: PendingPublish[] = [];
  #head = 0;
  #queued = 0;
  #pumping = false;
  #paused = false;

  constructor(limit: { readonly messages: number; readonly bytes: number }, send: (publish: PendingPublish) => void) {
    this.#limit = limit;
    this.#send = send;
  }

  /** Publishes that have not settled. */
  get size(): number {
    return this.#inFlight.size + this.#queued;
  }

  /** What has been sent and not settled, in order. */
  sent(): PendingPublish[] {
    return [...this.#inFlight];
  }

  /** What has not been sent, in order. */
  waiting(): PendingPublish[] {
    return this.#queue.slice(this.#head).filter((publish) => !publish.settled);
  }

  /** Sends it as soon as everything before it was sent and there is room. */
  add(publish: PendingPublish): void {
    this.#queue.push(publish);
    this.#queued++;
    this.#pump();
  }

  /** Sends nothing until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** To be called when a publish settles. */
  release(publish: PendingPublish): void {
    if (this.#inFlight.delete(publish)) this.#bytes -= publish.size;
    else this.#queued--;
    this.#pump();
  }

  #pump(): void {
    // A send that fails settles its publish at once, which comes back here.
    if (this.#pumping || this.#paused) return;
    this.#pumping = true;
    try {
      for (let next = this.#first(); next !== undefined && this.#fits(next); next = this.#first()) this.#start(next);
    } finally {
      this.#pumping = false;
    }
  }

  #start(publish: PendingPublish): void {
    this.#head++;
    this.#queued--;
    this.#inFlight.add(publish);
    this.#bytes += publish.size;
    this.#send(publish);
  }

  /** The first that still waits; what was aborted or timed out while it waited is passed over. */
  #first(): PendingPublish | undefined {
    while (this.#queue[this.#head]?.settled) this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head > SLACK && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return this.#queue[this.#head];
  }

  #fits(publish: PendingPublish): boolean {
    const messages = this.#inFlight.size;
    if (messages === 0) return true;
    return messages < this.#limit.messages && this.#bytes + publish.size <= this.#limit.bytes;
  }
}
