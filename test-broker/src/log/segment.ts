import { ByteChunks } from './byte-chunks.js';
import { frameTimestamp } from './frame.js';

const INITIAL_INDEX_LENGTH = 16;
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024;

/** A position in a segment, and the number of bytes read up to it. */
export interface SegmentRead {
  /** Index of the first unread entry. */
  readonly end: number;
  readonly bytes: number;
}

/** State of a segment: `removed` by retention, or `replaced` by compaction or truncation. */
export type SegmentState = 'live' | 'removed' | 'replaced';

/**
 * A run of messages from a base offset on, as frames for subscribers. Entries have an index from 0; offsets and indexes
 * are parallel until compaction removes entries.
 */
export class Segment {
  state: SegmentState = 'live';
  readonly baseOffset: number;
  #frames: ByteChunks;
  /** End position of each frame. */
  #ends: Uint32Array | null = null;
  /** Offset minus base offset of each entry, null while that equals the index. */
  #offsets: Uint32Array | null = null;
  #count = 0;
  #size = 0;
  #firstTime = 0n;
  #lastTime = 0n;

  constructor(baseOffset: number, frames: ByteChunks = new ByteChunks()) {
    this.baseOffset = baseOffset;
    this.#frames = frames;
  }

  /** Number of entries. */
  get count(): number {
    return this.#count;
  }

  /** Sum of the entry sizes. */
  get size(): number {
    return this.#size;
  }

  /** Number of bytes in the frames. */
  get bytes(): number {
    return this.#frames.length;
  }

  /** Number of allocated bytes. */
  get allocated(): number {
    return this.#frames.allocated + (this.#ends?.byteLength ?? 0) + (this.#offsets?.byteLength ?? 0);
  }

  /** Whether the segment is full in any configuration: positions are 32 bits wide. */
  get full(): boolean {
    return this.#frames.length >= MAX_SEGMENT_BYTES;
  }

  /** Time of the first entry, nanoseconds, 0 when there is none. */
  get firstTime(): bigint {
    return this.#firstTime;
  }

  get lastTime(): bigint {
    return this.#lastTime;
  }

  /** Offset of the first entry, -1 when there is none. */
  get firstOffset(): number {
    return this.#count === 0 ? -1 : this.offsetAt(0);
  }

  /** Offset of the last entry, -1 when there is none. */
  get lastOffset(): number {
    return this.#count === 0 ? -1 : this.offsetAt(this.#count - 1);
  }

  /** The offset that comes behind the last entry. */
  get nextOffset(): number {
    return this.#count === 0 ? this.baseOffset : this.offsetAt(this.#count - 1) + 1;
  }

  append(frame: Uint8Array, offset: number, timestamp: bigint, size: number): void {
    const relative = offset - this.baseOffset;
    if (this.#offsets === null && relative !== this.#count) this.#offsets = this.#identity();
    this.#frames.append(frame);
    this.#ends = put(this.#ends, this.#count, this.#frames.length);
    if (this.#offsets !== null) this.#offsets = put(this.#offsets, this.#count, relative);
    if (this.#count === 0) this.#firstTime = timestamp;
    this.#lastTime = timestamp;
    this.#size += size;
    this.#count++;
  }

  /** Releases spare memory: no more entries follow. */
  seal(): void {
    this.#frames.trim();
    this.#ends = this.#ends?.slice(0, this.#count) ?? null;
    this.#offsets = this.#offsets?.slice(0, this.#count) ?? null;
  }

  offsetAt(index: number): number {
    return this.baseOffset + (this.#offsets === null ? index : this.#offsets[index]!);
  }

  /** Start of the frame of an entry; for the index behind the last entry the end of the frames. */
  positionAt(index: number): number {
    return index === 0 ? 0 : this.#ends![index - 1]!;
  }

  /** A view of the frame of an entry. */
  frameAt(index: number): Buffer {
    return this.#frames.view(this.positionAt(index), this.positionAt(index + 1));
  }

  timestampAt(index: number): bigint {
    return frameTimestamp(this.frameAt(index));
  }

  /** Index of the first entry with at least this offset, `count` when there is none. */
  indexOf(offset: number): number {
    if (this.#offsets === null) return Math.min(Math.max(offset - this.baseOffset, 0), this.#count);
    return this.#search((index) => this.offsetAt(index) >= offset);
  }

  /** Index of the first entry at or after this time, `count` when there is none. */
  indexAtTime(timestamp: bigint): number {
    return this.#search((index) => this.timestampAt(index) >= timestamp);
  }

  /**
   * Adds views of the frames from index `from` up to `to` to `out`, at most `maxBytes` of them but at least one frame.
   */
  read(from: number, to: number, maxBytes: number, out: Buffer[]): SegmentRead {
    if (from >= to) return { end: from, bytes: 0 };
    const start = this.positionAt(from);
    const end = this.#fitting(from, to, start + maxBytes);
    const stop = this.positionAt(end);
    this.#frames.slice(start, stop, out);
    return { end, bytes: stop - start };
  }

  /** A segment with the entries before this index, which shares their bytes. `size` is the sum of their entry sizes. */
  head(count: number, size: number): Segment {
    const head = new Segment(this.baseOffset, this.#frames.head(this.positionAt(count)));
    head.#count = count;
    if (count === 0) return head;
    head.#ends = this.#ends!.slice(0, count);
    head.#offsets = this.#offsets?.slice(0, count) ?? null;
    head.#size = size;
    head.#firstTime = this.#firstTime;
    head.#lastTime = this.timestampAt(count - 1);
    return head;
  }

  #fitting(from: number, to: number, limit: number): number {
    let low = from + 1;
    let high = to;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.positionAt(middle) <= limit) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #search(reached: (index: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (reached(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #identity(): Uint32Array {
    const offsets = new Uint32Array(Math.max(INITIAL_INDEX_LENGTH, this.#ends?.length ?? 0));
    for (let i = 0; i < this.#count; i++) offsets[i] = i;
    return offsets;
  }
}

/** Writes into the array, or into a larger copy when it is full. */
function put(array: Uint32Array | null, index: number, value: number): Uint32Array {
  let target = array ?? new Uint32Array(INITIAL_INDEX_LENGTH);
  if (index >= target.length) {
    const larger = new Uint32Array(2 * Math.max(target.length, INITIAL_INDEX_LENGTH / 2));
    larger.set(target);
    target = larger;
  }
  target[index] = value;
  return target;
}
