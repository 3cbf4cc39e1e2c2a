import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StreamWatch } from '../../../../src/consumer/membership/stream-watch.js';
import { FakeCluster } from '../../subscribe/fakes.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/clock.js', () => import('../../../support/global-timers.js'));

let cluster: FakeCluster;
let log: string[];
let watch: StreamWatch;
beforeEach(() => {
  vi.useFakeTimers();
  cluster = new FakeCluster();
  log = [];
  watch = new StreamWatch(cluster as never, ['orders', 'bills'], {
    refreshed: () => void log.push('refreshed'),
    deleted: ({ stream, message }) => void log.push(`deleted ${stream}${/with the others/.test(message) ? '' : '?'}`),
    failed: ({ stream, message }) => void log.push(`failed ${stream}${/the last one/.test(message) ? '' : '?'}`),
  });
});
afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

describe('StreamWatch', () => {
  it('finds out which streams are deleted, and ends with the last one', async () => {
    watch.look('orders', 'b');
    await pass();
    expect([log, cluster.sought]).toEqual([['refreshed'], [{ stream: 'orders', createdAt: 1, deletedBy: 'b' }]]);
    cluster.existing = 'gone';
    watch.look('orders');
    watch.look('orders');
    await pass();
    expect(cluster.sought.slice(1)).toEqual([{ stream: 'orders', createdAt: 1 }]);
    expect([log, watch.streams]).toEqual([['refreshed', 'deleted orders'], ['bills']]);
    cluster.existing = 'replaced';
    watch.look('orders');
    watch.look('bills');
    await pass();
    expect([log.at(-1), watch.streams, cluster.sought.length]).toEqual(['failed bills', [], 3]);
  });

  it('asks again while it is not certain, and for a stream again once that is decided', async () => {
    cluster.existing = 'unsure';
    watch.look('orders');
    await pass();
    cluster.existing = 'present';
    await pass(5_000);
    expect(log).toEqual(['refreshed']);
    const { length } = cluster.sought;
    watch.look('orders');
    await pass();
    expect(cluster.sought).toHaveLength(length + 1);
  });

  it('checks all its streams once, and counts what is not certain as present', async () => {
    cluster.existence = async (sought) => {
      cluster.sought.push(sought);
      return 'stream' in sought && sought.stream === 'orders' ? 'gone' : 'unsure';
    };
    await watch.check();
    expect([log, watch.streams]).toEqual([['deleted orders'], ['bills']]);
    expect(cluster.sought).toEqual([
      { stream: 'orders', createdAt: 1 },
      { stream: 'bills', createdAt: 1 },
    ]);
    cluster.existence = () => Promise.reject(new Error('closed'));
    await watch.check();
    expect(watch.streams).toEqual(['bills']);
  });

  it('tells of fresh leaders: every fifteen seconds, and at once when one of its streams moves', async () => {
    const [listener] = cluster.listeners;
    listener!({ stream: 'clicks', partition: 0 });
    expect(log).toEqual([]);
    listener!({ stream: 'orders', partition: 0 });
    expect(log).toEqual(['refreshed']);
    await pass(14_999);
    expect(cluster.refreshes).toBe(0);
    await pass(1);
    expect([log.length, cluster.refreshed]).toEqual([2, ['orders', 'bills']]);
    cluster.refreshFails = true;
    await pass(15_000);
    expect([log.length, cluster.refreshes]).toEqual([2, 2]);
  });

  it('tells nothing once it is stopped', async () => {
    let decide: (existence: string) => void = () => undefined;
    cluster.existence = () =>
      new Promise((resolve) => {
        decide = resolve;
      });
    watch.look('orders');
    const checked = watch.check();
    await pass();
    watch.stop();
    decide('gone');
    cluster.existence = () => Promise.reject(new Error('stopped'));
    await pass(60_000);
    expect([log, vi.getTimerCount(), cluster.listeners.size]).toEqual([[], 0, 0]);
    void checked;
  });
});
