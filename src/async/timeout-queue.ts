import { monotonicNow } from './clock.js';
import { SLICE_MS } from './cooperative.js';
import { clearImmediate, clearTimeout, LONGEST_DELAY_MS, setImmediate, setTimeout } from './timers.js';

/** Something that must be over by a certain time. The links belong to {@link TimeoutQueue}. */
export interface TimeoutEntry<T> {
  /** Milliseconds as of `monotonicNow()`. */
  deadline: number;
  /** How long it was given, in milliseconds. */
  timeout: number;
  earlier: T | null;
  later: T | null;
}

interface Lane<T> {
  readonly timeout: number;
  first: T | null;
  last: T | null;
  timer: NodeJS.Timeout | null;
}

/**
 * Timeouts of very many entries at once. Nearly all publishes share one timeout, so entries of one length form a linked
 * list in the order in which they expire, with one timer for its head. When many expire at the same time, the event loop
 * gets a turn every few milliseconds.
 */
export class TimeoutQueue<T extends TimeoutEntry<T>> {
  readonly #lanes = new Map<number, Lane<T>>();
  readonly #expired: (entry: T) => void;
  /** Lanes whose timer has fired and that are not worked off yet. */
  readonly #due = new Set<Lane<T>>();
  #nextSlice: NodeJS.Immediate | null = null;

  /** `expired` is called for an entry whose time is up, after it was taken out. */
  constructor(expired: (entry: T) => void) {
    this.#expired = expired;
  }

  /** Puts in an entry, whose `timeout` is set, and fills in its deadline. */
  add(entry: T): void {
    entry.deadline = monotonicNow() + entry.timeout;
    let lane = this.#lanes.get(entry.timeout);
    if (lane === undefined) {
      lane = { timeout: entry.timeout, first: null, last: null, timer: null };
      this.#lanes.set(entry.timeout, lane);
    }
    entry.earlier = lane.last;
    if (lane.last === null) {
      lane.first = entry;
      lane.timer?.ref();
    } else lane.last.later = entry;
    lane.last = entry;
    if (lane.timer === null && !this.#due.has(lane)) this.#arm(lane);
  }

  /** Takes an entry out. */
  remove(entry: T): void {
    const lane = this.#lanes.get(entry.timeout);
    if (lane === undefined || (entry.earlier === null && lane.first !== entry)) return;
    if (entry.earlier === null) lane.first = entry.later;
    else entry.earlier.later = entry.later;
    if (entry.later === null) lane.last = entry.earlier;
    else entry.later.earlier = entry.earlier;
    entry.earlier = null;
    entry.later = null;
    // A timer that has nothing to do must not keep the process alive.
    if (lane.first === null) lane.timer?.unref();
  }

  /** All that are in, as of now. */
  entries(): T[] {
    const all: T[] = [];
    for (const lane of this.#lanes.values()) for (let at = lane.first; at !== null; at = at.later) all.push(at);
    return all;
  }

  /** Forgets all entries and timers. */
  clear(): void {
    for (const lane of this.#lanes.values()) if (lane.timer) clearTimeout(lane.timer);
    if (this.#nextSlice !== null) clearImmediate(this.#nextSlice);
    this.#nextSlice = null;
    this.#due.clear();
    this.#lanes.clear();
  }

  #arm(lane: Lane<T>): void {
    const delay = Math.min(LONGEST_DELAY_MS, Math.max(1, lane.first!.deadline - monotonicNow()));
    lane.timer = setTimeout(() => this.#fire(lane), delay);
  }

  #fire(lane: Lane<T>): void {
    lane.timer = null;
    this.#due.add(lane);
    // Timers of other lanes fire in the same turn: together they must not take longer than one slice.
    if (this.#nextSlice === null) this.#work();
  }

  #work(): void {
    const began = monotonicNow();
    for (const lane of this.#due) {
      if (!this.#workOff(lane, began + SLICE_MS)) break;
      this.#due.delete(lane);
      // `expired` may have cleared everything, and even begun again.
      if (this.#lanes.get(lane.timeout) !== lane) continue;
      if (lane.first !== null) this.#arm(lane);
      else this.#lanes.delete(lane.timeout);
    }
    if (this.#due.size > 0 || monotonicNow() - began >= 1) this.#nextSlice = setImmediate(this.#goOn);
  }

  readonly #goOn = (): void => {
    this.#nextSlice = null;
    if (this.#due.size > 0) this.#work();
  };

  /** Expires what is due; false when `end` came first. */
  #workOff(lane: Lane<T>, end: number): boolean {
    for (;;) {
      const entry = lane.first;
      const now = monotonicNow();
      if (entry === null || entry.deadline > now) return true;
      if (now >= end) return false;
      this.remove(entry);
      this.#expired(entry);
    }
  }
}
