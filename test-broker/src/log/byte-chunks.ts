const MIN_CHUNK_BYTES = 512;
const MAX_CHUNK_BYTES = 1024 * 1024;

interface Chunk {
  bytes: Buffer;
  /** Position of the first byte among all bytes. */
  readonly start: number;
  used: number;
}

/**
 * A growing byte sequence, in pieces from 512 bytes up to 1 MiB so that few bytes take little memory. The bytes of one
 * `append` stay in one piece. Stored bytes never change, so views of them can be passed on.
 */
export class ByteChunks {
  #chunks: Chunk[] = [];
  #length = 0;

  /** Number of stored bytes. */
  get length(): number {
    return this.#length;
  }

  /** Number of allocated bytes. */
  get allocated(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }

  /** Appends a copy of the bytes. */
  append(bytes: Uint8Array): void {
    const size = bytes.length;
    let last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.bytes.length - last.used < size) last = this.#grow(size, last);
    last.bytes.set(bytes, last.used);
    last.used += size;
    this.#length += size;
  }

  /** Adds views of the bytes from position `from` up to `to` to `out`, one for each piece. */
  slice(from: number, to: number, out: Buffer[]): void {
    if (from >= to) return;
    for (let i = this.#find(from); i < this.#chunks.length; i++) {
      const { bytes, start, used } = this.#chunks[i]!;
      if (start >= to) return;
      out.push(bytes.subarray(Math.max(from - start, 0), Math.min(to - start, used)));
    }
  }

  /** A view of bytes that one `append` added. */
  view(from: number, to: number): Buffer {
    const { bytes, start } = this.#chunks[this.#find(from)]!;
    return bytes.subarray(from - start, to - start);
  }

  /** The first `length` bytes as a new sequence that shares memory with this one; each grows on its own. */
  head(length: number): ByteChunks {
    const head = new ByteChunks();
    for (const { bytes, start, used } of this.#chunks) {
      if (start >= length) break;
      const size = Math.min(used, length - start);
      // Truncated, so that the new sequence does not write where this one continues.
      head.#chunks.push({ bytes: bytes.subarray(0, size), start, used: size });
    }
    head.#length = Math.min(length, this.#length);
    return head;
  }

  /** Releases unused memory at the end. Worth it when no more bytes follow. */
  trim(): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.bytes.length - last.used <= last.used >>> 3) return;
    const exact = Buffer.allocUnsafeSlow(last.used);
    last.bytes.copy(exact, 0, 0, last.used);
    last.bytes = exact;
  }

  #grow(size: number, last: Chunk | undefined): Chunk {
    const next = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, 2 * (last?.bytes.length ?? 0)));
    // A message that fills most of a piece gets one of its own size: the next message would not fit behind it anyway.
    const bytes = Buffer.allocUnsafeSlow(size > next / 2 ? size : next);
    const chunk: Chunk = { bytes, start: this.#length, used: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  #find(position: number): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#chunks[middle]!.start <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
