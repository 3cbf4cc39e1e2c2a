import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Backoff } from '../../../src/async/backoff.js';

vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('Backoff', () => {
  it('doubles with each failure in a row, up to the longest', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const backoff = new Backoff({ first: 50, longest: 300 });
    expect(backoff.remaining).toBe(0);
    const delays = Array.from({ length: 6 }, () => {
      backoff.recordFailure();
      const { remaining } = backoff;
      vi.advanceTimersByTime(remaining);
      return remaining;
    });
    expect(delays).toEqual([50, 100, 200, 300, 300, 300]);
  });

  it('takes off a random part, a half at most', () => {
    vi.spyOn(Math, 'random').mockReturnValueOnce(0).mockReturnValueOnce(0.5);
    const backoff = new Backoff({ first: 100, longest: 1_000 });
    backoff.recordFailure();
    expect(backoff.remaining).toBe(50);
    vi.advanceTimersByTime(50);
    backoff.recordFailure();
    expect(backoff.remaining).toBe(150);
  });

  it('counts failures before the next attempt as one', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const backoff = new Backoff({ first: 100, longest: 1_000 });
    for (let i = 0; i < 5; i++) backoff.recordFailure();
    expect(backoff.remaining).toBe(100);
    vi.advanceTimersByTime(100);
    backoff.recordFailure();
    expect(backoff.remaining).toBe(200);
  });

  it('passes with time, and begins again after a success', () => {
    vi.spyOn(Math, 'random').mockReturnValue(1);
    const backoff = new Backoff({ first: 50, longest: 300 });
    backoff.recordFailure();
    vi.advanceTimersByTime(50);
    backoff.recordFailure();
    vi.advanceTimersByTime(60);
    expect(backoff.remaining).toBe(40);
    vi.advanceTimersByTime(60);
    expect(backoff.remaining).toBe(0);
    backoff.recordFailure();
    backoff.reset();
    expect(backoff.remaining).toBe(0);
    backoff.recordFailure();
    expect(backoff.remaining).toBe(50);
  });
});
