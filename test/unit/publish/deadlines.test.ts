import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines, type Due } from '../../../src/publish/deadlines.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

class Timed implements Due<Timed> {
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

describe('Deadlines', () => {
  it('expires entries of different timeouts when their time is up, in order', () => {
    const expired: number[] = [];
    const deadlines = new Deadlines<Timed>(({ timeout }) => expired.push(timeout));
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
    const deadlines = new Deadlines<Timed>((entry) => expired.push(entry));
    const entries = Array.from({ length: 5 }, () => new Timed(50));
    for (const entry of entries) deadlines.add(entry);
    for (const at of [0, 2, 4]) deadlines.remove(entries[at]!);
    deadlines.remove(entries[2]!);
    expect(deadlines.entries()).toEqual([entries[1], entries[3]]);
    vi.advanceTimersByTime(60);
    expect(expired).toEqual([entries[1], entries[3]]);
  });

  it('uses one timer for any number of entries of one timeout', () => {
    const deadlines = new Deadlines<Timed>(() => undefined);
    for (let n = 0; n < 1_000; n++) deadlines.add(new Timed(50));
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(50);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets an expired entry add to the list that is being worked through', () => {
    let count = 0;
    const deadlines: Deadlines<Timed> = new Deadlines(() => {
      if (++count < 3) deadlines.add(new Timed(50));
    });
    deadlines.add(new Timed(50));
    vi.advanceTimersByTime(200);
    expect(count).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no timer behind when it is cleared', () => {
    const deadlines = new Deadlines<Timed>(() => expect.unreachable());
    deadlines.add(new Timed(10));
    deadlines.add(new Timed(20));
    deadlines.clear();
    expect(vi.getTimerCount()).toBe(0);
    expect(deadlines.entries()).toEqual([]);
  });
});
