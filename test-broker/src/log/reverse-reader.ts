import type { Delivery } from './forward-reader.js';
import { overtaken } from './forward-reader.js';
import { LogError } from './log-error.js';
import type { PartitionLog } from './partition-log.js';
import type { Segment } from './segment.js';

/** A delivery of messages from newer to older. */
export interface ReverseDelivery extends Delivery {
  /** Whether there is no older message. */
  readonly ended: boolean;
}

/**
 * Reads from a start offset back to the oldest message, in the segments at its creation, and never waits. Within its
 * first segment the server uses the distance of the start from the base offset as the index of an entry. After
 * compaction that is another entry, or none, and then it skips the whole segment.
 */
export class ReverseReader {
  readonly #log: PartitionLog;
  readonly #stop: number;
  readonly #segments: readonly Segment[];
  #segment: number;
  #index: number;

  /**
   * `start` is lowered to the high watermark; `stop`: the offset behind which `stopped` is reported, -1 for never.
   * Throws LogError `segment not found` when no message was ever committed.
   */
  constructor(log: PartitionLog, start: number, stop = -1) {
    const from = Math.min(start, log.highWatermark);
    this.#log = log;
    this.#stop = stop;
    this.#segments = [...log.segments.all];
    this.#segment = log.segments.find(from);
    const first = this.#segments[this.#segment];
    if (log.highWatermark === -1 || first === undefined) throw new LogError('segment not found');
    this.#index = from - first.baseOffset;
    if (this.#index >= first.count) this.#previousSegment();
  }

  /**
   * Returns the next messages, of about `maxBytes` together but at least one, each frame on its own. Throws LogError
   * when the log was closed or deleted, and when retention has removed the segment of the reader.
   */
  read(maxBytes: number): ReverseDelivery {
    this.#log.requireOpen();
    const frames: Buffer[] = [];
    let bytes = 0;
    let last = -1;
    while (this.#rewind() && bytes < maxBytes) {
      const segment = this.#segments[this.#segment]!;
      if (segment.state === 'removed') throw overtaken();
      const frame = this.#log.readable(segment.frameAt(this.#index));
      last = segment.offsetAt(this.#index--);
      frames.push(frame);
      bytes += frame.length;
      if (last === this.#stop) return { frames, count: frames.length, last, stopped: true, ended: false };
    }
    return { frames, count: frames.length, last, stopped: false, ended: !this.#rewind() };
  }

  /** Moves to the segment with the next entry; false when there is none. */
  #rewind(): boolean {
    while (this.#index < 0 && this.#segment > 0) this.#previousSegment();
    return this.#index >= 0;
  }

  #previousSegment(): void {
    this.#segment--;
    this.#index = (this.#segments[this.#segment]?.count ?? 0) - 1;
  }
}
