import type { ReceivedMessage } from '../../protocol/received-message.js';

/** Told when the buffer is full, and when there is room again. */
export interface BufferOwner {
  pause(): void;
  resume(): void;
}

interface Batch {
  readonly messages: ReceivedMessage[];
  readonly bytes: number;
}

/** The messages of one partition that wait to be processed, with a bound: beyond it the broker has to stop sending. */
export class MessageBuffer {
  readonly #owner: BufferOwner;
  readonly #limit: () => number;
  readonly #batches: Batch[] = [];
  #at = 0;
  #bytes = 0;
  #full = false;

  /** `limit`: encoded bytes that may wait. */
  constructor(owner: BufferOwner, limit: () => number) {
    this.#owner = owner;
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  /** Offset of the first message; null when there is none. */
  get firstOffset(): bigint | null {
    return this.#batches[0]?.messages[this.#at]?.offset ?? null;
  }

  get isFull(): boolean {
    return this.#full;
  }

  push(messages: ReceivedMessage[], bytes: number): void {
    if (messages.length === 0) return;
    this.#batches.push({ messages, bytes });
    this.#bytes += bytes;
    if (this.#full || this.#bytes < this.#limit()) return;
    this.#full = true;
    this.#owner.pause();
  }

  /** Takes the first message out; null when there is none. */
  shift(): ReceivedMessage | null {
    const batch = this.#batches[0];
    if (batch === undefined) return null;
    const message = batch.messages[this.#at++]!;
    if (this.#at === batch.messages.length) this.#drop(batch);
    return message;
  }

  /** Takes out what stands before the offset. */
  skipTo(offset: bigint): void {
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      if (batch.messages[this.#at]!.offset >= offset) return;
      this.shift();
    }
  }

  clear(): void {
    this.#batches.length = 0;
    this.#at = 0;
    this.#bytes = 0;
    this.#full = false;
  }

  #drop(batch: Batch): void {
    this.#batches.shift();
    this.#at = 0;
    this.#bytes -= batch.bytes;
    if (!this.#full || this.#bytes > this.#limit() / 4) return;
    this.#full = false;
    this.#owner.resume();
  }
}
