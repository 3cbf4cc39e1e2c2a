const MIN_CHUNK_BYTES = 512;
const MAX_CHUNK_BYTES = 1024 * 1024;

interface Chunk {
  bytes: Buffer;
  /** Position of the first byte among all bytes. */
  readonly start: number;
  used: number;
}

/**
 * Bytes that only grow, in pieces from 512 bytes up to 1 MiB so that little data takes little memory. What one `append`
 * brings stays in one piece. Bytes are never changed once they are in, so views of them can be handed out.
 */
export class ByteChunks {
  #chunks: Chunk[] = [];
  #length = 0;

  /** Bytes that are in. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that are taken. */
  get allocated(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  }

  /** Copies the bytes to the end. */
  append(bytes: Uint8Array): void {
    const size = bytes.length;
    let last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.bytes.length - last.used < size) last = this.#grow(size, last);
    last.bytes.set(bytes, last.used);
    last.used += size;
    this.#length += size;
  }

  /** Adds views of the bytes from position `from` up to `to` to `out`, as few as there are pieces. */
  slice(from: number, to: number, out: Buffer[]): void {
    if (from >= to) return;
    for (let i = this.#find(from); i < this.#chunks.length; i++) {
      const { bytes, start, used } = this.#chunks[i]!;
      if (start >= to) return;
      out.push(bytes.subarray(Math.max(from - start, 0), Math.min(to - start, used)));
    }
  }

  /** A view of one run of bytes that came in by one `append`. */
  view(from: number, to: number): Buffer {
    const { bytes, start } = this.#chunks[this.#find(from)]!;
    return bytes.subarray(from - start, to - start);
  }

  /** The first `length` bytes as chunks of their own that share memory with these, and grow apart from them. */
  head(length: number): ByteChunks {
    const head = new ByteChunks();
    for (const { bytes, start, used } of this.#chunks) {
      if (start >= length) break;
      const size = Math.min(used, length - start);
      // Cut to size: the head must not write where these bytes go on.
      head.#chunks.push({ bytes: bytes.subarray(0, size), start, used: size });
    }
    head.#length = Math.min(length, this.#length);
    return head;
  }

  /** Gives back the memory at the end that nothing was written to. Worth it when nothing more will come. */
  trim(): void {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined || last.bytes.length - last.used <= last.used >>> 3) return;
    const exact = Buffer.allocUnsafeSlow(last.used);
    last.bytes.copy(exact, 0, 0, last.used);
    last.bytes = exact;
  }

  #grow(size: number, last: Chunk | undefined): Chunk {
    const next = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, 2 * (last?.bytes.length ?? 0)));
    // A message that fills most of a piece gets one of its own size: what follows would not fit behind it anyway.
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
