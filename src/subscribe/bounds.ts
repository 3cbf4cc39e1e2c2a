import type { ReceivedMessage } from '../protocol/received-message.js';
import type { Range, ReadPlan, Start, Stop } from './positions.js';

/** What becomes of a message: handed out, left out, handed out as the last one, or left out because the range is over. */
export type Verdict = 'deliver' | 'drop' | 'last' | 'over';

/**
 * The range that a reader has promised, kept on this side: brokers begin early when the start lies beyond the end, never
 * end when the stop offset was removed, and know nothing of what was delivered before a connection broke.
 */
export class Bounds {
  readonly #plan: ReadPlan;
  #start: Range['start'];
  #stop: Stop;
  #next: bigint | null = null;
  #delivered = false;

  constructor(plan: ReadPlan) {
    this.#plan = plan;
    this.#stop = plan.stop;
    this.#start = plan.start.at === 'cursor' ? { at: 'earliest' } : plan.start;
    this.#expectStart(this.#start);
  }

  /** The next offset that is expected; null while only the broker can tell. */
  get next(): bigint | null {
    return this.#next;
  }

  /** Whether anything was handed out. */
  get delivered(): boolean {
    return this.#delivered;
  }

  /** Whether the newest offset has to be known to keep the promise over broken connections. */
  get needsNewest(): boolean {
    const { at } = this.#start;
    return at === 'new' || at === 'latest' || at === 'time' || this.#stop.at === 'latest' || this.#stop.at === 'time';
  }

  /** Sets the start that a stored cursor stands for. */
  startAt(start: Start & { at: 'offset' | 'earliest' }): void {
    this.#start = start;
    this.#expectStart(start);
  }

  /** Takes note of the newest offset (-1n: none), as of before the subscription. */
  knowNewest(newest: bigint): void {
    this.#newest = newest;
    if (this.#stop.at === 'latest') this.#stop = { at: 'offset', offset: newest };
    if (this.#next !== null) return;
    if (this.#start.at === 'new') this.#next = newest + 1n;
    else if (this.#start.at === 'latest') this.#next = newest < 0n && !this.#plan.reverse ? 0n : newest;
  }

  /** What `knowNewest` was told; null when it was not. */
  get newest(): bigint | null {
    return this.#newest;
  }

  #newest: bigint | null = null;

  /** Lets the messages' own times decide where to end, at the latest at the given offset. */
  stopByTime(newest: bigint): void {
    this.#limit = newest;
  }

  /** In place of a stop that the broker cannot compute. */
  #limit: bigint | null = null;

  /** True when nothing in the range is left to read. */
  get exhausted(): boolean {
    const next = this.#next;
    const last = this.#lastOffset;
    if (this.#plan.reverse) {
      if (next !== null && next < 0n) return true;
      return last !== null && next !== null && next < last;
    }
    if (last !== null && last < 0n) return true;
    return last !== null && next !== null && next > last;
  }

  /** The offset at which the range ends; null while only the broker can tell, or never. */
  get lastOffset(): bigint | null {
    return this.#lastOffset;
  }

  get #lastOffset(): bigint | null {
    if (this.#stop.at === 'offset') return this.#stop.offset;
    return this.#limit;
  }

  /** What to ask the broker for now. `again`: after a connection that broke. */
  range(again: boolean): Range {
    const start = again && this.#next !== null ? ({ at: 'offset', offset: this.#next } as const) : this.#start;
    const stop = this.#limit === null ? this.#stop : ({ at: 'offset', offset: this.#limit } as const);
    return { start, stop };
  }

  /** Decides about a message and moves on. */
  judge(message: ReceivedMessage): Verdict {
    const verdict = this.#plan.reverse ? this.#judgeReverse(message) : this.#judgeForward(message);
    if (verdict === 'drop' || verdict === 'over') return verdict;
    this.#delivered = true;
    this.#next = this.#plan.reverse ? message.offset - 1n : message.offset + 1n;
    return verdict;
  }

  #judgeForward({ offset, timestamp }: ReceivedMessage): Verdict {
    if (this.#next !== null && offset < this.#next) return 'drop';
    if (this.#next === null && this.#start.at === 'time' && timestamp < this.#start.time) return 'drop';
    if (this.#stop.at === 'never') return 'deliver';
    if (this.#stop.at === 'time' && timestamp > this.#stop.time) return 'over';
    const last = this.#lastOffset;
    if (last === null || offset < last) return 'deliver';
    return offset === last ? 'last' : 'over';
  }

  #judgeReverse({ offset, timestamp }: ReceivedMessage): Verdict {
    if (this.#next !== null && offset > this.#next) return 'drop';
    if (this.#stop.at === 'time' && timestamp < this.#stop.time) return 'over';
    const last = this.#lastOffset ?? 0n;
    if (offset > last) return 'deliver';
    return offset === last ? 'last' : 'over';
  }

  #expectStart(start: Range['start']): void {
    if (start.at === 'offset') this.#next = start.offset;
    else if (start.at === 'earliest' && !this.#plan.reverse) this.#next = 0n;
  }
}
