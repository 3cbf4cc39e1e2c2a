import { Segment } from './segment.js';

/** Consecutive frames of messages. */
export interface LogRead {
  /** Runs of one or more complete frames. They are views of the log's memory and must not be changed. */
  readonly frames: Buffer[];
  /** Number of messages in them. */
  readonly count: number;
  /** Offset of the last message, -1 when there is none. */
  readonly last: number;
  /** Offset at which to continue. */
  readonly next: number;
}

/** The segments of a log, oldest first. There is always one, and the last one is active. */
export class SegmentList {
  #segments: Segment[];

  constructor(segments: Segment[] = []) {
    this.#segments = segments.length > 0 ? segments : [new Segment(0)];
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  get active(): Segment {
    return this.#segments[this.#segments.length - 1]!;
  }

  /** The offset of the next message. */
  get nextOffset(): number {
    return this.active.nextOffset;
  }

  /** The first retained offset, -1 when there is none. */
  get oldestOffset(): number {
    return this.#segments.find((segment) => segment.count > 0)?.firstOffset ?? -1;
  }

  /** Index of the first segment that has, or will have, offsets from this one on; the number of segments if none. */
  find(offset: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#segments[middle]!.nextOffset > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The segment with the first message from this offset on, null when there is none. */
  holding(offset: number): Segment | null {
    for (let i = this.find(offset); i < this.#segments.length; i++) {
      if (this.#segments[i]!.count > 0) return this.#segments[i]!;
    }
    return null;
  }

  /** The frames of the messages from `from` to `to` inclusive. */
  *frames(from: number, to: number): Generator<Buffer> {
    for (const segment of this.#segments.slice(this.find(from))) {
      if (segment.baseOffset > to) return;
      const end = segment.indexOf(to + 1);
      for (let index = segment.indexOf(from); index < end; index++) yield segment.frameAt(index);
    }
  }

  /** The frames of the messages from `from` back to the oldest. */
  *framesBackwards(from: number): Generator<Buffer> {
    for (const segment of this.#segments.slice(0, this.find(from) + 1).reverse()) {
      for (let index = segment.indexOf(from + 1) - 1; index >= 0; index--) yield segment.frameAt(index);
    }
  }

  /** Closes the active segment and opens one that begins with this offset. */
  roll(baseOffset: number): Segment {
    this.active.seal();
    const segment = new Segment(baseOffset);
    this.#segments.push(segment);
    return segment;
  }

  /** Removes the first segments. */
  removeFirst(count: number): Segment[] {
    const removed = this.#segments.slice(0, count);
    this.#segments = this.#segments.slice(count);
    for (const segment of removed) segment.state = 'removed';
    return removed;
  }

  /** Replaces segments; returns those that no longer exist. */
  replace(segments: Segment[]): Segment[] {
    const kept = new Set(segments);
    const gone = this.#segments.filter((segment) => !kept.has(segment));
    for (const segment of gone) segment.state = 'replaced';
    this.#segments = segments;
    return gone;
  }

  /** Reads the messages from `from` to `to` inclusive: about `maxBytes` of them, but at least one if there is one. */
  read(from: number, to: number, maxBytes: number): LogRead {
    const frames: Buffer[] = [];
    let bytes = 0;
    let count = 0;
    let last = -1;
    for (let i = this.find(from); i < this.#segments.length; i++) {
      const segment = this.#segments[i]!;
      const start = segment.indexOf(from);
      const end = segment.indexOf(to + 1);
      if (start >= end) {
        if (segment.count > 0) break;
        continue;
      }
      if (count > 0 && bytes + segment.positionAt(start + 1) - segment.positionAt(start) > maxBytes) break;
      const read = segment.read(start, end, maxBytes - bytes, frames);
      bytes += read.bytes;
      count += read.end - start;
      last = segment.offsetAt(read.end - 1);
      if (read.end < end || end < segment.count) break;
    }
    return { frames, count, last, next: count > 0 ? last + 1 : Math.max(from, Math.min(to + 1, this.nextOffset)) };
  }
}
