import { BatchBuffer, type BufferOwner } from '../../collections/batch-buffer.js';
import type { ReceivedMessage } from '../../protocol/received-message.js';

/** The messages of one partition that wait to be processed, with a bound: beyond it the broker stops sending. */
export class MessageBuffer {
  readonly #batches: BatchBuffer<ReceivedMessage>;
  /** Index of the first message in the first batch. */
  #at = 0;

  /** `limit`: encoded bytes that may wait. */
  constructor(owner: BufferOwner, limit: () => number) {
    this.#batches = new BatchBuffer(owner, limit);
  }

  get isEmpty(): boolean {
    return this.#batches.first === null;
  }

  /** Offset of the first message; null when there is none. */
  get firstOffset(): bigint | null {
    return this.#batches.first?.[this.#at]?.offset ?? null;
  }

  get isFull(): boolean {
    return this.#batches.isFull;
  }

  push(messages: ReceivedMessage[], bytes: number): void {
    if (messages.length > 0) this.#batches.push(messages, bytes);
  }

  /** Takes the first message out; null when there is none. */
  shift(): ReceivedMessage | null {
    const batch = this.#batches.first;
    if (batch === null) return null;
    const message = batch[this.#at++]!;
    if (this.#at === batch.length) {
      this.#at = 0;
      this.#batches.shift();
    }
    return message;
  }

  /** Takes out every message before the offset. */
  skipTo(offset: bigint): void {
    for (let first = this.firstOffset; first !== null && first < offset; first = this.firstOffset) this.shift();
  }

  clear(): void {
    this.#batches.clear();
    this.#at = 0;
  }
}
