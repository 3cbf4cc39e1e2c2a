import { describe, expect, it } from 'vitest';
import { BatchBuffer } from '../../../src/collections/batch-buffer.js';

function buffering(limit = 100) {
  const told: string[] = [];
  const bound = { limit };
  const owner = { pause: () => told.push('pause'), resume: () => told.push('resume') };
  return { told, bound, buffer: new BatchBuffer<number>(owner, () => bound.limit) };
}

describe('BatchBuffer', () => {
  it('returns batches in the order of their arrival', () => {
    const { buffer } = buffering();
    expect([buffer.first, buffer.shift()]).toEqual([null, null]);
    buffer.push([1, 2], 10);
    buffer.push([3], 10);
    expect([buffer.first, buffer.shift(), buffer.first, buffer.shift(), buffer.shift()]).toEqual([
      [1, 2],
      [1, 2],
      [3],
      [3],
      null,
    ]);
  });

  it('pauses its owner once at the limit, and resumes it at a quarter', () => {
    const { told, buffer } = buffering();
    for (let n = 0; n < 4; n++) buffer.push([n], 24);
    expect([told, buffer.isFull]).toEqual([[], false]);
    buffer.push([4], 4);
    buffer.push([5], 25);
    expect([told, buffer.isFull]).toEqual([['pause'], true]);
    for (let n = 0; n < 4; n++) buffer.shift();
    expect(told).toEqual(['pause']);
    buffer.shift();
    expect([told, buffer.isFull]).toEqual([['pause', 'resume'], false]);
  });

  it('follows a limit that changes', () => {
    const { told, bound, buffer } = buffering();
    buffer.push([0], 60);
    bound.limit = 50;
    buffer.push([1], 10);
    expect(told).toEqual(['pause']);
    bound.limit = 40;
    buffer.shift();
    expect(told).toEqual(['pause', 'resume']);
  });

  it('drops everything without an event when it is cleared', () => {
    const { told, buffer } = buffering();
    buffer.push([0], 50);
    buffer.push([1], 50);
    buffer.shift();
    buffer.clear();
    expect([buffer.shift(), buffer.isFull, told]).toEqual([null, false, ['pause']]);
    buffer.push([2], 99);
    expect([buffer.first, told]).toEqual([[2], ['pause']]);
  });

  it.each([1, 3, 300])('keeps the order with %d batches that always wait', (waiting) => {
    const { buffer } = buffering(Number.POSITIVE_INFINITY);
    let pushed = 0;
    for (; pushed < waiting; pushed++) buffer.push([pushed], 1);
    for (let taken = 0; taken < 2_000; taken++) {
      buffer.push([pushed++], 1);
      expect(buffer.shift()).toEqual([taken]);
    }
    for (let taken = 2_000; taken < pushed; taken++) expect(buffer.shift()).toEqual([taken]);
    expect(buffer.shift()).toBeNull();
  });
});
