import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type TimeoutEntry, TimeoutQueue } from '../../../src/async/timeout-queue.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

class Timed implements TimeoutEntry<Timed> {
  deadline = 0;
  earlier: Timed | null = null;
  later: Timed | null = null;
  constructor(readonly timeout: number) {}
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('TimeoutQueue', () => {
  it('expires entries of different timeouts when their time is up, in order', () => {
    const expired: number[] = [];
    const deadlines = new TimeoutQueue<Timed>(({ timeout }) => expired.push(timeout));
    for (const timeout of [300, 100, 200, 100]) deadlines.add(new Timed(timeout));
    vi.advanceTimersByTime(99);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(expired).toEqual([100, 100]);
    vi.advanceTimersByTime(200);
    expect(expired).toEqual([100, 100, 200, 300]);
  });

  it('does not expire what was removed, from whatever place in the list', () => {
    const expired: Timed[] = [];
    const deadlines = new TimeoutQueue<Timed>((entry) => expired.push(entry));
    const entries = Array.from({ length: 5 }, () => new Timed(50));
    for (const entry of entries) deadlines.add(entry);
    for (const at of [0, 2, 4]) deadlines.remove(entries[at]!);
    deadlines.remove(entries[2]!);
    expect(deadlines.entries()).toEqual([entries[1], entries[3]]);
    vi.advanceTimersByTime(60);
    expect(expired).toEqual([entries[1], entries[3]]);
  });

  it('uses one timer for any number of entries of one timeout', () => {
    const deadlines = new TimeoutQueue<Timed>(() => undefined);
    for (let n = 0; n < 1_000; n++) deadlines.add(new Timed(50));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(50);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets an expired entry add to the list that is being worked through', () => {
    let count = 0;
    const deadlines: TimeoutQueue<Timed> = new TimeoutQueue(() => {
      if (++count < 3) deadlines.add(new Timed(50));
    });
    deadlines.add(new Timed(50));
    vi.advanceTimersByTime(200);
    expect(count).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when it is cleared', () => {
    const deadlines = new TimeoutQueue<Timed>(() => expect.unreachable());
    deadlines.add(new Timed(10));
    deadlines.add(new Timed(20));
    deadlines.clear();
    expect(vi.getTimerCount()).toBe(0);
    expect(deadlines.entries()).toEqual([]);
  });

  it('keeps the process alive while there are entries, and no longer', () => {
    const timer = vi.spyOn(globalThis, 'setTimeout');
    const deadlines = new TimeoutQueue<Timed>(() => undefined);
    const entry = new Timed(50);
    deadlines.add(entry);
    const { value } = timer.mock.results[0] as { value: NodeJS.Timeout };
    expect(value.hasRef()).toBe(true);
    deadlines.remove(entry);
    expect(value.hasRef()).toBe(false);
    deadlines.add(entry);
    expect(value.hasRef()).toBe(true);
    timer.mockRestore();
  });

  describe('when the work of one turn takes long', () => {
    const EACH = 1;
    let now: number;
    beforeEach(() => {
      now = 0;
      vi.spyOn(performance, 'now').mockImplementation(() => now);
    });
    afterEach(() => {
      vi.restoreAllMocks();
    });

    /** Expires entries of these timeouts, of which each takes a millisecond; answers how many expire in each turn. */
    function turns(timeouts: readonly number[]): number[] {
      let count = 0;
      const deadlines = new TimeoutQueue<Timed>(() => {
        count++;
        now += EACH;
      });
      for (const timeout of timeouts) deadlines.add(new Timed(timeout));
      now = Math.max(...timeouts);
      const counts: number[] = [];
      while (vi.getTimerCount() > 0) {
        const before = count;
        vi.advanceTimersToNextTimer();
        if (count > before) counts.push(count - before);
      }
      return counts;
    }

    it('lets the event loop run every few milliseconds', () => {
      expect(turns(new Array(22).fill(50))).toEqual([5, 5, 5, 5, 2]);
    });

    it('expires all entries of all timeouts', () => {
      const counts = turns([...new Array(8).fill(50), ...new Array(8).fill(49), 48, 47]);
      expect(counts.reduce((sum, count) => sum + count)).toBe(18);
      expect(Math.max(...counts)).toBe(5);
    });

    it('neither expires nor arms anything after it is cleared in between', () => {
      const deadlines: TimeoutQueue<Timed> = new TimeoutQueue(() => {
        now += EACH;
        deadlines.clear();
      });
      for (let n = 0; n < 3; n++) deadlines.add(new Timed(50));
      now = 50;
      vi.advanceTimersToNextTimer();
      expect(deadlines.entries()).toEqual([]);
      vi.advanceTimersToNextTimer();
      expect(vi.getTimerCount()).toBe(0);
    });
  });
});
