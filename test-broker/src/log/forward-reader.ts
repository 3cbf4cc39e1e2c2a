import { LogError } from './log-error.js';
import type { PartitionLog } from './partition-log.js';
import type { Segment } from './segment.js';

/** The next messages for a subscriber. */
export interface Delivery {
  /** Runs of complete frames, in order. Not to be changed. */
  readonly frames: Buffer[];
  /** Number of messages in them; 0 when there is none for now. */
  readonly count: number;
  /** Offset of the last message, -1 when there is none. */
  readonly last: number;
  /** Whether the last message is the stop offset. */
  readonly stopped: boolean;
}

const EMPTY_DELIVERY: Delivery = Object.freeze({ frames: [], count: 0, last: -1, stopped: false });

const SEGMENT_NOT_FOUND = 'segment not found';

/** The error of a reader whose segment retention has removed. */
export function overtaken(): LogError {
  return new LogError('failed to read message headers: segment has been closed');
}

/**
 * Reads committed messages from a start offset on, and waits at the high watermark. Like the server, it ignores a start
 * beyond the high watermark or in an empty log: it then begins with the next committed message.
 */
export class ForwardReader {
  readonly #log: PartitionLog;
  readonly #stop: number;
  /** The next offset, null while the reader waits for the high watermark to move. */
  #position: number | null = null;
  readonly #waitingAt: number;
  /** The most recently read segment. */
  #held: Segment | null = null;

  /**
   * `start`: at least 0; `stop`: the offset behind which `stopped` is reported, -1 for never. Throws LogError `segment
   * has been closed` when the log is paused and has the start, `segment not found` when the log was truncated below the
   * high watermark.
   */
  constructor(log: PartitionLog, start: number, stop = -1) {
    this.#log = log;
    this.#stop = stop;
    this.#waitingAt = log.highWatermark;
    if (start > log.highWatermark || log.oldestOffset === -1) return;
    if (log.state !== 'open') throw new LogError('segment has been closed');
    if (log.highWatermark > log.newestOffset) throw new LogError(SEGMENT_NOT_FOUND);
    this.#position = start;
    this.#held = log.segments.holding(start);
  }

  /** Whether the log is readonly and the reader has read all of it. */
  get ended(): boolean {
    const { readonly, highWatermark, newestOffset } = this.#log;
    return readonly && highWatermark === newestOffset && (this.#position ?? this.#waitingAt + 1) > highWatermark;
  }

  /**
   * Returns the next messages, of about `maxBytes` together but at least one. Throws LogError when the log was closed
   * or deleted, when retention has removed the segment of the reader, and when the log was truncated below the high
   * watermark and the reader is behind it.
   */
  read(maxBytes: number): Delivery {
    this.#log.requireOpen();
    const { highWatermark } = this.#log;
    if (this.#position === null) {
      if (highWatermark === this.#waitingAt) return EMPTY_DELIVERY;
      this.#position = this.#waitingAt + 1;
    }
    if (this.#position > highWatermark) return EMPTY_DELIVERY;
    // The server finds its segment replaced, and cannot continue in a log without the high watermark.
    if (highWatermark > this.#log.newestOffset)
      throw new LogError(`failed to reinitialize reader: ${SEGMENT_NOT_FOUND}`);
    if (this.#held?.state === 'removed') throw overtaken();
    return this.#deliver(this.#position, highWatermark, maxBytes);
  }

  #deliver(position: number, highWatermark: number, maxBytes: number): Delivery {
    const stopAhead = this.#stop >= position && this.#stop < highWatermark;
    let read = this.#log.read(position, stopAhead ? this.#stop : highWatermark, maxBytes);
    // The stop offset itself no longer exists, so the reader never reaches it and does not end there.
    if (stopAhead && read.count === 0) read = this.#log.read(read.next, highWatermark, maxBytes);
    this.#position = read.next;
    if (read.count === 0) return EMPTY_DELIVERY;
    this.#held = this.#log.segments.holding(read.last);
    return { frames: read.frames, count: read.count, last: read.last, stopped: read.last === this.#stop };
  }
}
