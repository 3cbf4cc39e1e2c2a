import { deferred } from 'liftbridge-client/protocol';
import { elapsed, elapsedNanoseconds } from './elapsed.js';
import { wrongValue } from './option-error.js';
import { clearTimeout, setImmediate, setTimeout } from './timers.js';

/** A timer of a {@link Clock}. */
export interface ClockTimer {
  cancel(): void;
}

/** The clock of the whole broker. */
export interface Clock {
  /** Milliseconds since the epoch, by the wall clock at the start of the broker. It never steps. */
  now(): number;
  /** Nanoseconds since the epoch, greater at every call. */
  nanos(): bigint;
  /** Calls back once after this many milliseconds of this clock. */
  after(ms: number, callback: () => void): ClockTimer;
  /** Calls back every time this many milliseconds of this clock have passed, until it is cancelled. */
  every(ms: number, callback: () => void): ClockTimer;
}

interface Due extends ClockTimer {
  at: number;
  readonly order: number;
  readonly period: number | null;
  readonly callback: () => void;
  cancelled: boolean;
}

/** Timestamps are nanoseconds in 64 bits, which end in 2262. */
const MAX_TIME = Date.UTC(2262, 0, 1);
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The clock of the brokers, as a test sees it. */
export interface BrokerClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Moves the time forward by this many milliseconds; resolves when every timer that came due has run. */
  advance(ms: number): Promise<void>;
}

/**
 * Real time that a test can push forward: `advance` runs every timer that comes due on the way, in order, each at
 * the time it was set for.
 */
export class MovableClock implements Clock, BrokerClock {
  #offset = 0;
  #lastNanos = 0n;
  #order = 0;
  #timers: Due[] = [];
  #wakeup: NodeJS.Timeout | null = null;
  #wakeupAt = Number.POSITIVE_INFINITY;
  readonly #began = Date.now() - elapsed.now();
  readonly #base = BigInt(Date.now()) * 1_000_000n - elapsedNanoseconds();

  now(): number {
    return Math.floor(this.#began + elapsed.now()) + this.#offset;
  }

  nanos(): bigint {
    const now = this.#base + elapsedNanoseconds() + BigInt(Math.round(this.#offset * 1e6));
    this.#lastNanos = now > this.#lastNanos ? now : this.#lastNanos + 1n;
    return this.#lastNanos;
  }

  after(ms: number, callback: () => void): ClockTimer {
    return this.#add(ms, null, callback);
  }

  every(ms: number, callback: () => void): ClockTimer {
    return this.#add(ms, Math.max(1, ms), callback);
  }

  /** Moves the time forward by this many milliseconds; resolves when every timer that came due has run. */
  async advance(ms: number): Promise<void> {
    const target = typeof ms === 'number' && ms >= 0 ? this.now() + ms : Number.NaN;
    if (!(target <= MAX_TIME))
      throw wrongValue('ms', 'a number of at least 0 that moves the clock to the year 2261 at the latest', ms);
    await settle();
    for (let next = this.#first(); next && next.at <= target; next = this.#first()) {
      this.#offset += Math.max(0, next.at - this.now());
      this.#runDue();
      await settle();
    }
    this.#offset += Math.max(0, target - this.now());
    this.#schedule();
  }

  /** Drops every timer. */
  stop(): void {
    this.#timers = [];
    this.#schedule();
  }

  #add(ms: number, period: number | null, callback: () => void): ClockTimer {
    const at = this.now() + Math.max(0, ms);
    const timer: Due = {
      at,
      order: this.#order++,
      period,
      callback,
      cancelled: false,
      cancel: () => this.#remove(timer),
    };
    this.#insert(timer);
    if (timer.at < this.#wakeupAt) this.#schedule();
    return timer;
  }

  #insert(timer: Due): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle]!;
      if (other.at < timer.at || (other.at === timer.at && other.order < timer.order)) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }

  #remove(timer: Due): void {
    timer.cancelled = true;
    // Cancelled timers are removed when they reach the front: with many timers a search for each would cost more.
    if (this.#timers[0] === timer) this.#timers.shift();
  }

  #first(): Due | undefined {
    while (this.#timers[0]?.cancelled) this.#timers.shift();
    return this.#timers[0];
  }

  #runDue(): void {
    const now = this.now();
    for (let timer = this.#first(); timer && timer.at <= now; timer = this.#first()) {
      this.#timers.shift();
      if (timer.period !== null) {
        timer.at += timer.period;
        if (timer.at <= now - timer.period) timer.at = now + timer.period;
        this.#insert(timer);
      }
      timer.callback();
    }
  }

  /**
   * After the process was suspended, input may be waiting that arrived before a timer was due, such as the poll of a
   * group member. It is read first.
   */
  async #wakeUp(): Promise<void> {
    await settle();
    this.#runDue();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#wakeup) clearTimeout(this.#wakeup);
    const first = this.#first();
    this.#wakeup = null;
    this.#wakeupAt = first?.at ?? Number.POSITIVE_INFINITY;
    if (!first) return;
    const delay = Math.min(MAX_TIMEOUT_MS, Math.max(0, first.at - this.now()));
    this.#wakeup = setTimeout(() => void this.#wakeUp(), delay);
    // The listening servers keep the process alive, not the timers.
    this.#wakeup.unref();
  }
}

/** Lets the consequences of timers run: promises, and two turns of the event loop for I/O. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await turnOfEventLoop();
}

function turnOfEventLoop(): Promise<void> {
  const { promise, resolve } = deferred();
  setImmediate(resolve);
  return promise;
}
