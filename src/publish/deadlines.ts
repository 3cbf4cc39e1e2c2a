import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';

/** Something that must be over by a certain time. The links belong to {@link Deadlines}. */
export interface Due<T> {
  /** Milliseconds as of `monotonicNow()`. */
  deadline: number;
  /** How long it was given, in milliseconds. */
  timeout: number;
  earlier: T | null;
  later: T | null;
}

interface Lane<T> {
  first: T | null;
  last: T | null;
  timer: NodeJS.Timeout | null;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/**
 * Timeouts for very many things at once. Nearly all publishes share one timeout, so those of one length stand in a
 * list in the order in which they end, with one timer for its head: adding and removing is a matter of links.
 */
export class Deadlines<T extends Due<T>> {
  readonly #lanes = new Map<number, Lane<T>>();
  readonly #expired: (entry: T) => void;

  /** `expired` is called for an entry whose time is up, after it was taken out. */
  constructor(expired: (entry: T) => void) {
    this.#expired = expired;
  }

  /** Puts in an entry, whose `timeout` is set, and fills in its deadline. */
  add(entry: T): void {
    entry.deadline = monotonicNow() + entry.timeout;
    let lane = this.#lanes.get(entry.timeout);
    if (lane === undefined) {
      lane = { first: null, last: null, timer: null };
      this.#lanes.set(entry.timeout, lane);
    }
    entry.earlier = lane.last;
    if (lane.last === null) lane.first = entry;
    else lane.last.later = entry;
    lane.last = entry;
    if (lane.timer === null) this.#arm(lane, entry.timeout);
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
    this.#lanes.clear();
  }

  #arm(lane: Lane<T>, timeout: number): void {
    const delay = Math.min(LONGEST_TIMEOUT, Math.max(1, lane.first!.deadline - monotonicNow()));
    lane.timer = setTimeout(() => this.#fire(lane, timeout), delay);
  }

  #fire(lane: Lane<T>, timeout: number): void {
    lane.timer = null;
    const now = monotonicNow();
    for (let entry = lane.first; entry !== null && entry.deadline <= now; entry = lane.first) {
      this.remove(entry);
      this.#expired(entry);
    }
    // What expired may have added to this very list, and armed it again.
    if (lane.timer !== null) return;
    if (lane.first !== null) this.#arm(lane, timeout);
    else this.#lanes.delete(timeout);
  }
}
