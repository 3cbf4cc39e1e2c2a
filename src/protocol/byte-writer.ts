import { byteCount } from './byte-views.js';

const CHUNK = 64 * 1024;

// One 64-bit word seen as a bigint and as two halves: the cheapest way from a bigint to bytes.
const wide = new BigInt64Array(1);
const half = new Uint32Array(wide.buffer);
const [LOW, HIGH] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];

/** Where a writer has its memory from. */
export interface ChunkSource {
  /** Size of a chunk in bytes, unless one message needs more. */
  readonly chunkSize: number;
  /** A chunk of at least `size` bytes, whatever is in it. */
  allocate(size: number): Buffer;
  /** The writer writes to the chunk no more; what it has handed out of it may still be in use. */
  leave(chunk: Buffer): void;
}

/**
 * An append-only run of bytes for packing many messages into few buffers. A method that throws has written nothing. What `take` hands out is not written to again
 * (before the source of its memory says so), so it can go to a socket as it is.
 */
export class ByteWriter {
  #buffer: Buffer;
  #start = 0;
  #end = 0;
  readonly #source: ChunkSource;

  /** `memory`: the size of its chunks in bytes, or where it has them from. */
  constructor(memory: number | ChunkSource = CHUNK) {
    this.#source = typeof memory === 'number' ? freshChunks(memory) : memory;
    this.#buffer = this.#source.allocate(this.#source.chunkSize);
  }

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Returns what was written and continues behind it. */
  take(): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** Forgets everything behind the first `length` bytes: undoes a message that failed half-way. */
  truncate(length: number): void {
    this.#end = this.#start + length;
  }

  /** Makes room for `size` more bytes, so that what follows needs no check of its own. */
  reserve(size: number): void {
    if (this.#end + size > this.#buffer.length) this.#grow(size);
  }

  #grow(size: number): void {
    const pending = this.#end - this.#start;
    // Twice what is pending: a single large message must not copy itself again and again.
    const next = this.#source.allocate(Math.max(this.#source.chunkSize, 2 * (pending + size)));
    const left = this.#buffer;
    left.copy(next, 0, this.#start, this.#end);
    this.#buffer = next;
    this.#start = 0;
    this.#end = pending;
    this.#source.leave(left);
  }

  byte(value: number): void {
    this.reserve(1);
    this.#buffer[this.#end++] = value;
  }

  /** A big-endian unsigned 32-bit word. */
  word(value: number): void {
    this.reserve(4);
    this.#end = this.#buffer.writeUInt32BE(value, this.#end);
  }

  /** A varint of at most 32 bits, unsigned. */
  varint(value: number): void {
    this.reserve(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.#buffer[this.#end++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#end++] = rest;
  }

  /** An int32, which protobuf sign-extends to 64 bits when it is negative. */
  int32(value: number): void {
    if (value < 0) this.int64(BigInt(value));
    else this.varint(value);
  }

  /** A 64-bit varint; negative values take ten bytes. */
  int64(value: bigint): void {
    this.reserve(10);
    wide[0] = value;
    let low = half[LOW]!;
    let high = half[HIGH]!;
    const buffer = this.#buffer;
    let end = this.#end;
    while (high > 0 || low > 0x7f) {
      buffer[end++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    buffer[end++] = low;
    this.#end = end;
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): void {
    this.#append(bytes, byteCount(bytes));
  }

  /** A length and the bytes. */
  bytes(bytes: Uint8Array): void {
    const size = byteCount(bytes);
    this.reserve(5 + size);
    this.varint(size);
    this.#append(bytes, size);
  }

  #append(bytes: Uint8Array, size: number): void {
    // Memory that was transferred away has no bytes, and cannot be copied from.
    if (size === 0) return;
    this.reserve(size);
    this.#buffer.set(bytes, this.#end);
    this.#end += size;
  }

  /** A length and the text in UTF-8. */
  string(text: string): void {
    const units = text.length;
    // Three bytes is the most that one UTF-16 unit can take.
    this.reserve(5 + 3 * units);
    if (units < 32 && this.#ascii(text, units)) return;
    const at = this.#end;
    const guess = varintSize(units);
    const written = this.#buffer.write(text, at + guess, 'utf8');
    const prefix = varintSize(written);
    if (prefix !== guess) this.#buffer.copyWithin(at + prefix, at + guess, at + guess + written);
    this.varint(written);
    this.#end += written;
  }

  #ascii(text: string, units: number): boolean {
    const buffer = this.#buffer;
    const at = this.#end + 1;
    for (let i = 0; i < units; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return false;
      buffer[at + i] = unit;
    }
    buffer[this.#end] = units;
    this.#end = at + units;
    return true;
  }

  /** Opens a part whose length stands before it as a varint; give the answer to `closePart`. */
  openPart(): number {
    this.byte(0);
    return this.#end - this.#start;
  }

  closePart(opened: number): void {
    // Room for the longest length now: once the end is moved back, growing would lose what lies behind it.
    this.reserve(5);
    const at = this.#start + opened;
    const size = this.#end - at;
    const prefix = varintSize(size);
    if (prefix > 1) this.#buffer.copyWithin(at + prefix - 1, at, this.#end);
    this.#end = at - 1;
    this.varint(size);
    this.#end += size;
  }

  /** Opens a part whose length stands before it as a big-endian word; give the answer to `closeWord`. */
  openWord(): number {
    this.word(0);
    return this.#end - this.#start;
  }

  closeWord(opened: number): void {
    const at = this.#start + opened;
    this.#buffer.writeUInt32BE(this.#end - at, at - 4);
  }
}

/** New memory every time: what was handed out is never touched again. */
function freshChunks(chunkSize: number): ChunkSource {
  return { chunkSize, allocate: (size) => Buffer.allocUnsafeSlow(size), leave: () => undefined };
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
