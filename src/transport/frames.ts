import type { ByteWriter } from '../protocol/byte-writer.js';
import { HeldBytes } from './held-bytes.js';

/** Bytes before each gRPC message: a compression flag and a big-endian length. */
export const FRAME_PREFIX = 5;

/** Opens a gRPC message in the writer; pass the result to `endFrame`. */
export function beginFrame(writer: ByteWriter): number {
  writer.byte(0);
  return writer.openWord();
}

/** Closes the message and fills in its length. */
export function endFrame(writer: ByteWriter, opened: number): void {
  writer.closeWord(opened);
}

/** A copy of one message with its frame. */
export function frame(payload: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_PREFIX + payload.length);
  framed[0] = 0;
  framed.writeUInt32BE(payload.length, 1);
  framed.set(payload, FRAME_PREFIX);
  return framed;
}

/** Why a sequence of frames cannot be read further. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
  readonly reason: 'compressed' | 'too-large' | 'truncated';
  /** Length that the frame announced. */
  readonly size: number;
  /** Its compression flag. */
  readonly flag: number;

  constructor(reason: FrameError['reason'], message: string, size = 0, flag = 0) {
    super(message);
    this.reason = reason;
    this.size = size;
    this.flag = flag;
  }
}

/** Called with the part of a buffer that one message takes. */
export type OnFrame = (source: Buffer, start: number, end: number) => void;

/**
 * Cuts gRPC messages out of the chunks that a connection delivers, wherever those were split. A message that lies
 * within a chunk is passed on as a view of it; only one that spans chunks is copied, once, and its small pieces twice.
 */
export class FrameSplitter {
  readonly #limit: number;
  readonly #pending = new HeldBytes();
  /** Bytes that must have arrived before the first pending message is complete. */
  #needed = FRAME_PREFIX;

  /** `limit`: the largest message in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes held back until the rest of their message comes. */
  get buffered(): number {
    return this.#pending.size;
  }

  /** Bytes of memory that hold them, without the rest of large chunks of the connection. */
  get held(): number {
    return this.#pending.memory;
  }

  /** Passes every complete message to `onFrame`, in order. Throws FrameError; it must not be used after that. */
  push(chunk: Buffer, onFrame: OnFrame): void {
    if (this.#pending.size === 0) {
      this.#cut(chunk, onFrame);
      return;
    }
    this.#pending.add(chunk);
    if (this.#pending.size >= this.#needed) this.#cut(this.#pending.take(), onFrame);
  }

  /** Throws FrameError when the stream ended inside a message. */
  finish(): void {
    if (this.buffered > 0) throw new FrameError('truncated', `the stream ended ${this.buffered} bytes into a message`);
  }

  #cut(source: Buffer, onFrame: OnFrame): void {
    let position = 0;
    const { length } = source;
    while (length - position >= FRAME_PREFIX) {
      const size = this.#sizeAt(source, position);
      const start = position + FRAME_PREFIX;
      if (length - start < size) {
        this.#needed = FRAME_PREFIX + size;
        this.#keep(source, position);
        return;
      }
      position = start + size;
      onFrame(source, start, position);
    }
    this.#needed = FRAME_PREFIX;
    this.#keep(source, position);
  }

  #sizeAt(source: Buffer, position: number): number {
    const size = source.readUInt32BE(position + 1);
    const flag = source[position];
    if (flag !== 0)
      throw new FrameError(
        'compressed',
        `compressed flag ${flag} set on a message, which no encoding was agreed for`,
        size,
        flag,
      );
    if (size > this.#limit)
      throw new FrameError('too-large', `message of ${size} bytes is larger than the maximum of ${this.#limit}`, size);
    return size;
  }

  #keep(source: Buffer, position: number): void {
    if (position < source.length) this.#pending.add(position === 0 ? source : source.subarray(position));
  }
}
