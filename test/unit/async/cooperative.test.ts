import { beforeEach, describe, expect, it, vi } from 'vitest';
import { forEachInSlices } from '../../../src/async/cooperative.js';

vi.mock('../../../src/async/clock.js', () => ({ monotonicNow: () => now }));
vi.mock('../../../src/async/sleep.js', () => ({
  nextTurn: async () => {
    turns++;
  },
}));

let now: number;
let turns: number;
beforeEach(() => {
  now = 0;
  turns = 0;
});

describe('forEachInSlices', () => {
  it('does all of what is quick before it returns, in order', () => {
    const done: number[] = [];
    void forEachInSlices([1, 2, 3], (entry) => done.push(entry));
    expect(done).toEqual([1, 2, 3]);
  });

  it('gives the event loop a turn every few milliseconds', async () => {
    const perTurn: number[] = [];
    await forEachInSlices(new Array(12).fill(0), () => {
      now++;
      perTurn[turns] = (perTurn[turns] ?? 0) + 1;
    });
    expect(perTurn).toEqual([5, 5, 2]);
  });
});
