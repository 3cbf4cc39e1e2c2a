import { compact } from './compaction.js';
import { frameEntrySize } from './entry-size.js';
import { LeaderEpochs } from './leader-epochs.js';
import type { LogConfig } from './log-config.js';
import { recoverSegments } from './recovery.js';
import { expiredSegments, nanoseconds } from './retention.js';
import { Segment } from './segment.js';
import { SegmentList } from './segment-list.js';
import type { PartitionStorage } from './storage.js';

/** The segments and leader epochs of a log in memory, and a copy on disk when there is a storage. */
export class LogStore {
  readonly segments: SegmentList;
  readonly epochs = new LeaderEpochs();
  readonly #config: LogConfig;
  readonly #storage: PartitionStorage | null;
  readonly #segmentMaxAge: bigint;
  /** The state at the last compaction: with the same state another one would find nothing. */
  #compacted = { highWatermark: -1, activeBase: 0 };

  constructor(config: LogConfig, storage: PartitionStorage | null) {
    this.#config = config;
    this.#storage = storage;
    this.#segmentMaxAge = nanoseconds(config.segmentMaxAge);
    this.segments = new SegmentList(storage === null ? [] : recoverSegments(storage, this.epochs));
  }

  /** Adds a message, on disk first: when that fails, the log is unchanged. */
  append(frame: Uint8Array, offset: number, timestamp: bigint, size: number, epoch: number): void {
    const { active } = this.segments;
    this.#storage?.append(active, frame, epoch, size);
    this.epochs.begin(epoch, offset);
    active.append(frame, offset, timestamp, size);
  }

  /**
   * Moves the start of an empty active segment to this offset: earlier offsets were compacted or dropped elsewhere. A
   * segment with messages stores the gap as such.
   */
  skipTo(offset: number): void {
    const { active, all, nextOffset } = this.segments;
    if (offset === nextOffset || active.count > 0) return;
    this.#storage?.roll(offset, this.epochs.last);
    this.segments.replace([...all.slice(0, -1), new Segment(offset)]);
    this.#storage?.remove(active.baseOffset);
  }

  /** Opens a new segment if the active one is full or, at this time, too old. Returns whether it did. */
  rollIfDue(now: bigint): boolean {
    const { active, nextOffset } = this.segments;
    const old = this.#segmentMaxAge > 0n && active.count > 0 && now - active.firstTime >= this.#segmentMaxAge;
    if (active.size < this.#config.segmentMaxBytes && !active.full && !old) return false;
    this.#storage?.roll(nextOffset, this.epochs.last);
    this.segments.roll(nextOffset);
    return true;
  }

  /** Removes the segments that have expired at this time. */
  expire(now: bigint): void {
    const expired = this.segments.removeFirst(expiredSegments(this.segments.all, this.#config, now));
    for (const segment of expired) this.#storage?.remove(segment.baseOffset);
    if (expired.length > 0) this.epochs.dropBefore(this.segments.all[0]!.baseOffset);
  }

  /** Removes messages that have a later one with the same key. */
  compact(highWatermark: number): void {
    const activeBase = this.segments.active.baseOffset;
    if (this.#compacted.highWatermark === highWatermark && this.#compacted.activeBase === activeBase) return;
    this.#compacted = { highWatermark, activeBase };
    const compacted = compact(this.segments.all, highWatermark);
    const byBase = new Map(compacted.map((segment) => [segment.baseOffset, segment]));
    for (const segment of this.segments.replace(compacted)) {
      const survivor = byBase.get(segment.baseOffset);
      if (survivor === undefined) this.#storage?.remove(segment.baseOffset);
      else this.#storage?.rewrite(survivor, (offset) => this.epochs.epochOf(offset));
    }
  }

  /** Drops every message from this offset on, which becomes the next one. */
  truncate(offset: number): void {
    const kept = this.#before(offset);
    const gone = this.segments.replace(kept);
    this.epochs.truncate(offset);
    if (this.#storage === null) return;
    try {
      this.#truncateStorage(this.#storage, kept, gone);
    } catch (error) {
      // An append after a partial truncation would mix offsets of two histories in the files.
      this.#storage.refuse(error);
      throw error;
    }
  }

  /** Deletes everything. */
  delete(): void {
    this.segments.replace([new Segment(this.segments.nextOffset)]);
    this.#storage?.delete();
  }

  #truncateStorage(storage: PartitionStorage, kept: readonly Segment[], gone: Segment[]): void {
    const { active } = this.segments;
    // When no message is left, the file whose name holds the next offset must exist before the others are deleted.
    if (kept.length === 1) storage.activate(active, this.epochs.last);
    // From the end backwards: at every moment the files are a log without gaps.
    for (const segment of gone.reverse()) {
      const head = kept.find((other) => other.baseOffset === segment.baseOffset);
      if (head === undefined) storage.remove(segment.baseOffset);
      else storage.activate(head, this.epochs.last);
    }
    storage.activate(active, this.epochs.last);
  }

  #before(offset: number): Segment[] {
    const index = this.segments.find(offset);
    const kept = this.segments.all.slice(0, index);
    const cut = this.segments.all[index]!;
    const count = cut.indexOf(offset);
    if (count > 0) kept.push(cut.head(count, cut.size - sizeFrom(cut, count)));
    if (kept[kept.length - 1]?.nextOffset !== offset) kept.push(new Segment(offset));
    return kept;
  }
}

/** Sum of the entry sizes from this index on. */
function sizeFrom(segment: Segment, index: number): number {
  let size = 0;
  for (let i = index; i < segment.count; i++) size += frameEntrySize(segment.frameAt(i));
  return size;
}
