import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { onTick, TICK_MS } from '../../../src/async/ticker.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let ticks: number[] = [];
let undo: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  ticks = [];
  undo = [onTick((stoodStill) => ticks.push(stoodStill))];
});

afterEach(() => {
  for (const end of undo) end();
  vi.useRealTimers();
});

describe('onTick', () => {
  it('ticks every two seconds', () => {
    vi.advanceTimersByTime(3 * TICK_MS);
    expect(ticks).toEqual([0, 0, 0]);
  });

  it('tells how long the process stood still when the monotonic clock went on', () => {
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000 + TICK_MS);
    vi.advanceTimersByTime(TICK_MS);
    expect(ticks).toEqual([60_000]);
    vi.mocked(performance.now).mockRestore();
  });

  it('tells how long the machine slept when only the wall clock went on', () => {
    vi.setSystemTime(Date.now() + 60_000);
    vi.advanceTimersByTime(TICK_MS);
    expect(ticks).toEqual([60_000]);
  });

  it('ignores a wall clock that is set back', () => {
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(2 * TICK_MS);
    expect(ticks).toEqual([0, 0]);
  });

  it('has one timer for all listeners, and none without listeners', () => {
    undo.push(onTick(() => undefined));
    expect(vi.getTimerCount()).toBe(1);
    for (const end of undo) end();
    for (const end of undo) end();
    expect(vi.getTimerCount()).toBe(0);
    undo = [onTick((stoodStill) => ticks.push(stoodStill))];
    vi.advanceTimersByTime(TICK_MS);
    expect(ticks).toEqual([0]);
  });
});
