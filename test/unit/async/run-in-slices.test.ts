import { afterEach, describe, expect, it, vi } from 'vitest';
import { runInSlices } from '../../../src/async/cooperative.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now }));

afterEach(() => {
  clock.now = 0;
});

/** Takes a millisecond a step, and notes how many steps are done in each turn of the event loop. */
async function stepsOfTurns(steps: number, ms: number): Promise<{ result: string; turns: number[] }> {
  const turns: number[] = [0];
  let immediate = setImmediate(function nextTurn() {
    turns.push(0);
    immediate = setImmediate(nextTurn);
  });
  function* work(): Generator<undefined, string> {
    for (let step = 0; step < steps; step++) {
      clock.now += ms;
      turns[turns.length - 1]!++;
      yield;
    }
    return 'done';
  }
  const result = await runInSlices(work());
  clearImmediate(immediate);
  return { result, turns: turns.filter((count) => count > 0) };
}

describe('runInSlices', () => {
  it('gives the event loop a turn once some milliseconds have passed, and returns the result', async () => {
    const { result, turns } = await stepsOfTurns(100, 1);
    expect(result).toBe('done');
    expect(turns.reduce((sum, count) => sum + count)).toBe(100);
    expect(Math.max(...turns)).toBeLessThanOrEqual(8);
  });

  it('does all in one turn that takes less', async () => {
    expect(await stepsOfTurns(100, 0)).toEqual({ result: 'done', turns: [100] });
  });
});
