import { BatchBuffer, type BufferOwner } from '../collections/batch-buffer.js';
import type { ReceivedMessage } from '../protocol/received-message.js';

/** Encoded bytes that may wait for the loop before the brokers have to stop sending. */
const QUEUE_LIMIT_BYTES = 1024 * 1024;
const limit = (): number => QUEUE_LIMIT_BYTES;

interface Waiter {
  resolve(batch: ReceivedMessage[] | null): void;
  reject(error: unknown): void;
}

/** Messages that have arrived for a loop that has not asked for them yet. A full queue pauses its owner. */
export class MessageQueue {
  readonly #batches: BatchBuffer<ReceivedMessage>;
  #over: { readonly error: unknown } | 'clean' | null = null;
  #dropped = false;
  #waiting: Waiter | null = null;

  constructor(owner: BufferOwner) {
    this.#batches = new BatchBuffer(owner, limit);
  }

  /** True once `clear` was called: messages that were taken but not handed out are to be dropped, too. */
  get dropped(): boolean {
    return this.#dropped;
  }

  /** Whether more may come, and how it ended. */
  get state(): 'open' | 'ended' | 'failed' {
    if (this.#over === null) return 'open';
    return this.#over === 'clean' ? 'ended' : 'failed';
  }

  push(messages: ReceivedMessage[], bytes: number): void {
    if (this.#over !== null || messages.length === 0) return;
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#batches.push(messages, bytes);
      return;
    }
    this.#waiting = null;
    waiting.resolve(messages);
  }

  /** The first batch; null when there is none now, more may come. */
  take(): ReceivedMessage[] | null {
    return this.#batches.shift();
  }

  /** The next batch, as soon as there is one; null at the end. Rejects with the error that `fail` was given. */
  next(): Promise<ReceivedMessage[] | null> {
    const batch = this.take();
    if (batch !== null) return Promise.resolve(batch);
    if (this.#over === 'clean') return Promise.resolve(null);
    if (this.#over !== null) return Promise.reject(this.#over.error);
    // A promise of its own: a loop that is faster than its broker waits once for each batch.
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Ends the queue behind the messages in it. */
  end(): void {
    if (this.#over !== null) return;
    this.#over = 'clean';
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  /** Ends the queue with an error behind the messages in it. */
  fail(error: unknown): void {
    if (this.#over !== null) return;
    this.#over = { error };
    this.#waiting?.reject(error);
    this.#waiting = null;
  }

  /** Drops the messages in it, and ends: cleanly, or with an error. */
  clear(failure: { readonly error: unknown } | null): void {
    this.#dropped = true;
    if (this.#over !== null && this.#over !== 'clean') return;
    this.#batches.clear();
    this.#over = null;
    if (failure === null) this.end();
    else this.fail(failure.error);
  }
}
