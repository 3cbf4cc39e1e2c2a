import type { ReceivedMessage } from '../protocol/received-message.js';
import type { Range, ReadPlan, Start } from './positions.js';

/**
 * What becomes of a message: handed out, left out, handed out as the last one, or left out because the range is over.
 * 'ascending' is a message that no server sends in reverse.
 */
export type Verdict = 'deliver' | 'drop' | 'last' | 'over' | 'ascending';

/**
 * The range that a reader has promised, kept on this side: brokers begin early when the start lies beyond the end, never
 * end when the stop offset was removed, and know nothing of what was delivered before a connection broke.
 */
export class ReadRange {
  readonly #plan: ReadPlan;
  #start: Range['start'];
  /** The offset at which the range ends; null while only the broker can tell, or never. */
  #last: bigint | null;
  #next: bigint | null = null;
  #newest: bigint | null = null;
  /** Nanoseconds: messages before it are left out, until the first that is not. */
  #since: bigint | null = null;
  #delivered = false;
  /** The offset that was received last on the current call. */
  #previous: bigint | null = null;

  constructor(plan: ReadPlan) {
    this.#plan = plan;
    this.#last = plan.stop.at === 'offset' ? plan.stop.offset : null;
    this.#start = plan.start.at === 'cursor' ? { at: 'earliest' } : plan.start;
    this.#expectStart(this.#start);
    if (this.#start.at === 'time' && !plan.reverse) this.#since = this.#start.time;
  }

  /** The next offset that is expected; null while only the broker can tell. */
  get next(): bigint | null {
    return this.#next;
  }

  /** The newest offset as `knowNewest` was told it last; null when it was not. */
  get newest(): bigint | null {
    return this.#newest;
  }

  /** The offset at which the range ends; null while only the broker can tell, or never. */
  get last(): bigint | null {
    return this.#last;
  }

  /** Whether anything was handed out. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Whether the newest offset has to be known to keep the promise. */
  get needsNewest(): boolean {
    const { reverse, stop } = this.#plan;
    const { at } = this.#start;
    return reverse || at === 'new' || at === 'latest' || at === 'time' || stop.at === 'latest' || stop.at === 'time';
  }

  /** The time to begin at whose offset is not known yet; null when there is none. */
  get unresolvedTime(): bigint | null {
    return this.#start.at === 'time' && this.#next === null ? this.#start.time : null;
  }

  /** Sets the start that a stored cursor gives. */
  startAt(start: Start & { at: 'offset' | 'earliest' }): void {
    this.#start = start;
    this.#expectStart(start);
  }

  /** Sets the offset of the start time. */
  resolveTime(offset: bigint): void {
    this.#next = this.#plan.reverse && this.#newest !== null && offset > this.#newest ? this.#newest : offset;
  }

  /**
   * Takes note of the newest offset (-1n: none), as of before a call. A new leader may know less than the old one: what
   * was never committed is lost, and its offsets are given again.
   */
  knowNewest(newest: bigint): void {
    this.#newest = newest;
    const { reverse, stop } = this.#plan;
    if (stop.at === 'latest' || (stop.at === 'time' && !reverse)) this.#last = least(this.#last, newest);
    if (this.#delivered) return;
    if (this.#start.at === 'new') this.#next = least(this.#next, newest + 1n);
    else if (this.#start.at === 'latest') this.#next = least(this.#next, newest < 0n && !reverse ? 0n : newest);
    else if (reverse && this.#next !== null) this.#next = least(this.#next, newest);
  }

  /** True when nothing in the range is left to read. */
  get exhausted(): boolean {
    const [next, last] = [this.#next, this.#last];
    if (this.#plan.reverse) return next !== null && (next < 0n || (last !== null && next < last));
    return last !== null && (last < 0n || (next !== null && next > last));
  }

  /** The range to ask the broker for on a new call. */
  remaining(): Range {
    this.#previous = null;
    const start = this.#next === null ? this.#start : ({ at: 'offset', offset: this.#next } as const);
    const stop = this.#last === null ? this.#plan.stop : ({ at: 'offset', offset: this.#last } as const);
    return { start, stop };
  }

  /** Decides about a message and moves on. */
  judge(message: ReceivedMessage): Verdict {
    const verdict = this.#plan.reverse ? this.#judgeReverse(message) : this.#judgeForward(message);
    if (verdict !== 'deliver' && verdict !== 'last') return verdict;
    this.#delivered = true;
    this.#next = this.#plan.reverse ? message.offset - 1n : message.offset + 1n;
    return verdict;
  }

  #judgeForward({ offset, timestamp }: ReceivedMessage): Verdict {
    if (this.#next !== null && offset < this.#next) return 'drop';
    if (this.#since !== null && timestamp < this.#since) {
      if (this.#next !== null) this.#next = offset + 1n;
      return 'drop';
    }
    this.#since = null;
    const { stop } = this.#plan;
    if (stop.at === 'never') return 'deliver';
    if (stop.at === 'time' && timestamp > stop.time) return 'over';
    return this.#place(offset, this.#last, 1n);
  }

  #judgeReverse({ offset, timestamp }: ReceivedMessage): Verdict {
    if (this.#previous !== null && offset > this.#previous) return 'ascending';
    this.#previous = offset;
    if (this.#next !== null && offset > this.#next) return 'drop';
    const { stop } = this.#plan;
    if (stop.at === 'time' && timestamp < stop.time) return 'over';
    return this.#place(offset, this.#last ?? 0n, -1n);
  }

  #place(offset: bigint, last: bigint | null, direction: 1n | -1n): Verdict {
    if (last === null) return 'deliver';
    if (offset === last) return 'last';
    return (last - offset) * direction > 0n ? 'deliver' : 'over';
  }

  #expectStart(start: Range['start']): void {
    if (start.at === 'offset') this.#next = start.offset;
    else if (start.at === 'earliest' && !this.#plan.reverse) this.#next = 0n;
  }
}

function least(known: bigint | null, other: bigint): bigint {
  return known === null || other < known ? other : known;
}
