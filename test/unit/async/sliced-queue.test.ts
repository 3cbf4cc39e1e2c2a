import { describe, expect, it } from 'vitest';
import { monotonicNow } from '../../../src/async/clock.js';
import { SlicedQueue } from '../../../src/async/sliced-queue.js';

/** Keeps the processor busy. */
function busy(ms: number): void {
  const end = monotonicNow() + ms;
  while (monotonicNow() < end);
}

describe('SlicedQueue', () => {
  it('works off what is pushed, in order, the first at once', async () => {
    const done: number[] = [];
    const queue = new SlicedQueue<number>((entry) => done.push(entry));
    queue.push([0]);
    expect(done).toEqual([0]);
    queue.push(Array.from({ length: 2_499 }, (_, n) => n + 1));
    for (let n = 2_500; n < 5_000; n++) queue.push([n]);
    await queue.idle();
    expect(done).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
  });

  it('gives the event loop turns in between, however it was filled', async () => {
    const turns = new Set<number>();
    let turn = 0;
    const count = (): void => {
      turn++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const queue = new SlicedQueue<number>(() => {
      turns.add(turn);
      busy(1);
    });
    for (let n = 0; n < 20; n++) queue.push([n]);
    queue.push(Array.from({ length: 20 }, (_, n) => n));
    await queue.idle();
    clearImmediate(next);
    // 40 ms of work in slices of 5 ms: a slice holds no more than 5 entries.
    expect(turns.size).toBeGreaterThanOrEqual(8);
  });

  it('takes what its own work pushes behind the rest', async () => {
    const done: string[] = [];
    const queue: SlicedQueue<string> = new SlicedQueue((entry) => {
      if (entry.length < 3) queue.push([`${entry}+`]);
      done.push(entry);
    });
    queue.push(['a']);
    await queue.idle();
    expect(done).toEqual(['a', 'a+', 'a++']);
  });

  it('goes on after work that throws', async () => {
    const done: number[] = [];
    const queue = new SlicedQueue<number>((entry) => {
      if (entry === 0) throw new Error('oops');
      done.push(entry);
    });
    expect(() => queue.push([0])).toThrow('oops');
    queue.push([1]);
    await queue.idle();
    expect(done).toEqual([1]);
  });
});
