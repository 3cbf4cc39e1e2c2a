import type { AckRequest } from './ack-envelope.js';

interface Waiting {
  readonly offset: number;
  readonly request: AckRequest;
}

/** Acks that wait until every in-sync replica has their message, in the order of the offsets. */
export class CommitQueue {
  #waiting: Waiting[] = [];
  #first = 0;

  get size(): number {
    return this.#waiting.length - this.#first;
  }

  add(offset: number, request: AckRequest): void {
    this.#waiting.push({ offset, request });
  }

  /** Removes and passes on the acks up to and including this offset. */
  release(committed: number, send: (offset: number, request: AckRequest) => void): void {
    while (this.#first < this.#waiting.length && this.#waiting[this.#first]!.offset <= committed) {
      const { offset, request } = this.#waiting[this.#first++]!;
      send(offset, request);
    }
    if (this.#first === this.#waiting.length) this.clear();
    else if (this.#first > 1024) this.#compact();
  }

  clear(): void {
    if (this.#waiting.length > 0) this.#waiting = [];
    this.#first = 0;
  }

  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}
