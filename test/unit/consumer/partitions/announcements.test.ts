import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Announcements } from '../../../../src/consumer/partitions/announcements.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));

let called: [string, number[]][];
let failures: unknown[];
beforeEach(() => {
  vi.useFakeTimers();
  called = [];
  failures = [];
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const held = (partition: number, stream = 'orders', signal = new AbortController().signal) =>
  ({ stream, partition, signal, announced: false }) as HeldPartition;
const announcing = (
  callback = (stream: string, partitions: readonly number[]): unknown => void called.push([stream, [...partitions]]),
) => new Announcements(callback as never, (error) => failures.push(error));

describe('Announcements', () => {
  it('calls onAssigned once for partitions that are ready together, in order', async () => {
    const announcements = announcing();
    const [one, two] = [held(11), held(2)];
    const told = [announcements.announce(one, 1), announcements.announce(two, 0)];
    await Promise.all(told);
    expect(called).toEqual([['orders', [2, 11]]]);
    expect([one.announced, two.announced, vi.getTimerCount()]).toEqual([true, true, 0]);
  });

  it('waits 25 ms for the others of a stream', async () => {
    const announcements = announcing();
    const told = announcements.announce(held(1), 1);
    await pass(24);
    expect(called).toEqual([]);
    await pass(1);
    await told;
    expect(called).toEqual([['orders', [1]]]);
    await announcements.announce(held(2), 0);
    expect(called).toEqual([
      ['orders', [1]],
      ['orders', [2]],
    ]);
  });

  it('keeps streams apart', async () => {
    const announcements = announcing();
    await Promise.all([announcements.announce(held(1), 0), announcements.announce(held(1, 'refunds'), 0)]);
    expect(called).toEqual([
      ['orders', [1]],
      ['refunds', [1]],
    ]);
  });

  it('leaves out partitions that were released meanwhile', async () => {
    const announcements = announcing();
    const gone = held(1, 'orders', AbortSignal.abort());
    await Promise.all([announcements.announce(gone, 1), announcements.announce(held(2), 0)]);
    expect([called, gone.announced]).toEqual([[['orders', [2]]], false]);
    await announcements.announce(held(3, 'orders', AbortSignal.abort()), 0);
    expect(called).toHaveLength(1);
  });

  it('waits for onAssigned, and fails with its error', async () => {
    const cause = new Error('no disk');
    const announcements = announcing(() => Promise.reject(cause));
    await expect(announcements.announce(held(1), 0)).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      stream: 'orders',
      operation: 'onAssigned',
      cause,
    });
    expect(failures).toHaveLength(1);
  });

  it('resolves at once without onAssigned', async () => {
    const one = held(1);
    await new Announcements(undefined, (error) => failures.push(error)).announce(one, 5);
    expect([one.announced, vi.getTimerCount(), failures]).toEqual([true, 0, []]);
  });
});
