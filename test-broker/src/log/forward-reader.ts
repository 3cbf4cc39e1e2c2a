import { LogError } from './log-error.js';
import type { PartitionLog } from './partition-log.js';
import type { Segment } from './segment.js';

/** What a subscriber is to be sent next. */
export interface Delivery {
  /** Runs of whole frames, in the order in which they are to be sent. Not to be changed. */
  readonly frames: Buffer[];
  /** Messages in them; 0 means that there is nothing to send for now. */
  readonly count: number;
  /** Offset of the last of them, -1 when there is none. */
  readonly last: number;
  /** The last of them is the stop offset. */
  readonly stopped: boolean;
}

const EMPTY_DELIVERY: Delivery = Object.freeze({ frames: [], count: 0, last: -1, stopped: false });

const SEGMENT_NOT_FOUND = 'segment not found';

/** The error of a reader whose segment retention took away. */
export function overtaken(): LogError {
  return new LogError('failed to read message headers: segment has been closed');
}

/**
 * Reads what is committed from a start on, and waits at the high watermark. A start beyond it, or in a log that holds
 * nothing, is not kept, as with the server: the reader then begins with whatever is committed next.
 */
export class ForwardReader {
  readonly #log: PartitionLog;
  readonly #stop: number;
  /** The next offset, null as long as the reader waits for the high watermark to move from where it was. */
  #position: number | null = null;
  readonly #waitingAt: number;
  /** The segment that was read last. */
  #held: Segment | null = null;

  /**
   * `start`: at least 0; `stop`: the offset behind which `stopped` is reported, -1 for never. Throws LogError
   * `segment has been closed` when the log is paused and has the start, `segment not found` when the log was cut back below
   * the high watermark.
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

  /** The log is readonly and all of it was read. */
  get ended(): boolean {
    const { readonly, highWatermark, newestOffset } = this.#log;
    return readonly && highWatermark === newestOffset && (this.#position ?? this.#waitingAt + 1) > highWatermark;
  }

  /**
   * The next messages, of about `maxBytes` together but at least one. Throws LogError when the log was closed or
   * deleted, when retention took away the segment that the reader is in, and when the log was cut back below the high
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
    // The server finds its segment replaced, and cannot begin again in a log that does not hold the high watermark.
    if (highWatermark > this.#log.newestOffset)
      throw new LogError(`failed to reinitialize reader: ${SEGMENT_NOT_FOUND}`);
    if (this.#held?.state === 'removed') throw overtaken();
    return this.#deliver(this.#position, highWatermark, maxBytes);
  }

  #deliver(position: number, highWatermark: number, maxBytes: number): Delivery {
    const stopAhead = this.#stop >= position && this.#stop < highWatermark;
    let read = this.#log.read(position, stopAhead ? this.#stop : highWatermark, maxBytes);
    // The stop offset itself is gone, so it is never met and nothing ends there.
    if (stopAhead && read.count === 0) read = this.#log.read(read.next, highWatermark, maxBytes);
    this.#position = read.next;
    if (read.count === 0) return EMPTY_DELIVERY;
    this.#held = this.#log.segments.holding(read.last);
    return { frames: read.frames, count: read.count, last: read.last, stopped: read.last === this.#stop };
  }
}
