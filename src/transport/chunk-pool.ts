import type { ChunkSource } from '../protocol/byte-writer.js';

/** Room for some large messages, or for thousands of small ones. */
const CHUNK = 256 * 1024;
/** Chunks that are kept for the next writer: as many as connections drain at a time. */
const MOST_KEPT = 32;

const kept: Buffer[] = [];

/**
 * The chunks that one writer fills, used again once the connection has taken what was in them: at some gigabits a second
 * fresh memory would cost more than filling it.
 */
export class ChunkPool implements ChunkSource {
  readonly chunkSize = CHUNK;
  /** Slices of a chunk that were sent and not yet given back. */
  readonly #lent = new Map<ArrayBufferLike, number>();
  /** Chunks that the writer has filled, until all their slices are given back. */
  readonly #left = new Map<ArrayBufferLike, Buffer>();

  allocate(size: number): Buffer {
    if (size > CHUNK) return Buffer.allocUnsafeSlow(size);
    return kept.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
  }

  leave(chunk: Buffer): void {
    if (this.#lent.has(chunk.buffer)) this.#left.set(chunk.buffer, chunk);
    else keep(chunk);
  }

  /** A slice goes to the connection. */
  lend(slice: Buffer): void {
    this.#lent.set(slice.buffer, (this.#lent.get(slice.buffer) ?? 0) + 1);
  }

  /** The connection is done with a slice: nothing reads it any more. */
  giveBack({ buffer }: Buffer): void {
    const lent = (this.#lent.get(buffer) ?? 0) - 1;
    if (lent > 0) {
      this.#lent.set(buffer, lent);
      return;
    }
    this.#lent.delete(buffer);
    const chunk = this.#left.get(buffer);
    if (chunk === undefined) return;
    this.#left.delete(buffer);
    keep(chunk);
  }
}

function keep(chunk: Buffer): void {
  if (chunk.length === CHUNK && kept.length < MOST_KEPT) kept.push(chunk);
}
