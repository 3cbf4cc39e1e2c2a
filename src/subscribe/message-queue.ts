import type { ReceivedMessage } from '../protocol/received-message.js';

/** Encoded bytes that may wait for the loop before the brokers have to stop sending. */
const HIGH = 1024 * 1024;
/** What must be left when they may go on. */
const LOW = HIGH / 4;

/** Told when the queue is full, and when there is room again. */
export interface QueueOwner {
  pause(): void;
  resume(): void;
}

interface Batch {
  readonly messages: ReceivedMessage[];
  readonly bytes: number;
}

/** What has arrived and was not asked for yet, with a bound: beyond it the owner is told to stop the brokers. */
export class MessageQueue {
  readonly #owner: QueueOwner;
  #batches: Batch[] = [];
  #head = 0;
  #bytes = 0;
  #full = false;
  #over: { readonly error: unknown } | 'clean' | null = null;
  #waiting: { resolve: (batch: ReceivedMessage[] | null) => void; reject: (error: unknown) => void } | null = null;

  constructor(owner: QueueOwner) {
    this.#owner = owner;
  }

  /** True once `end`, `fail` or `clear` was called. */
  get over(): boolean {
    return this.#over !== null;
  }

  push(messages: ReceivedMessage[], bytes: number): void {
    if (this.#over !== null || messages.length === 0) return;
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting.resolve(messages);
      return;
    }
    this.#batches.push({ messages, bytes });
    this.#bytes += bytes;
    if (this.#full || this.#bytes < HIGH) return;
    this.#full = true;
    this.#owner.pause();
  }

  /** What came first; null when nothing is there now, more may come. */
  take(): ReceivedMessage[] | null {
    const batch = this.#batches[this.#head];
    if (batch === undefined) return null;
    this.#head++;
    if (this.#head === this.#batches.length) {
      this.#batches = [];
      this.#head = 0;
    }
    this.#bytes -= batch.bytes;
    if (this.#full && this.#bytes <= LOW) {
      this.#full = false;
      this.#owner.resume();
    }
    return batch.messages;
  }

  /** The next batch, as soon as there is one; null at the end. Rejects with what `fail` was given. */
  next(): Promise<ReceivedMessage[] | null> {
    const batch = this.take();
    if (batch !== null) return Promise.resolve(batch);
    if (this.#over === 'clean') return Promise.resolve(null);
    if (this.#over !== null) return Promise.reject(this.#over.error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Ends the queue behind what is in it. */
  end(): void {
    if (this.#over !== null) return;
    this.#over = 'clean';
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  /** Ends the queue with an error behind what is in it. */
  fail(error: unknown): void {
    if (this.#over !== null) return;
    this.#over = { error };
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  /** True once `clear` was called: what was taken but not looked at is to be dropped, too. */
  get dropped(): boolean {
    return this.#dropped;
  }

  #dropped = false;

  /** Drops what is in it, and ends: cleanly, or with an error. */
  clear(failure: { readonly error: unknown } | null): void {
    this.#dropped = true;
    if (this.#over !== null && this.#over !== 'clean') return;
    this.#batches = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#over = null;
    if (failure === null) this.end();
    else this.fail(failure.error);
  }
}
