import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AckWatch } from '../../../src/publish/ack-watch.js';
import { LeaderSearch } from '../../../src/publish/leader-search.js';
import { PartitionQueue } from '../../../src/publish/partition-queue.js';
import { QueueWakeups } from '../../../src/publish/queue-wakeups.js';
import { publish } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const queue = (partition = 0) => new PartitionQueue('orders', partition);

beforeEach(() => {
  vi.useFakeTimers();
  // A monotonic clock does not start at zero.
  vi.advanceTimersByTime(10_000);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('AckWatch', () => {
  it('reports a queue after a second without a response, then less and less often', () => {
    const one = queue();
    const named: number[] = [];
    const watch = new AckWatch(
      () => [one],
      () => named.push(performance.now()),
    );
    const began = performance.now();
    one.unsettled = 1;
    watch.start();
    watch.start();
    vi.advanceTimersByTime(9_000);
    expect(named.map((time) => time - began)).toEqual([1_000, 2_000, 4_000, 8_000]);
    watch.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('starts over with each response, and when nothing is in flight', () => {
    const [one, two] = [queue(0), queue(1)];
    const named: PartitionQueue[] = [];
    const watch = new AckWatch(
      () => [one, two],
      (silent) => named.push(silent),
    );
    one.unsettled = 1;
    two.unsettled = 1;
    watch.start();
    vi.advanceTimersByTime(750);
    one.responses++;
    two.unsettled = 0;
    vi.advanceTimersByTime(250);
    two.unsettled = 1;
    vi.advanceTimersByTime(750);
    expect(named).toEqual([]);
    vi.advanceTimersByTime(250);
    expect(named).toEqual([one, two]);
  });

  it('stops when nothing is in flight, and can start again', () => {
    const one = queue();
    const silent = vi.fn();
    const watch = new AckWatch(() => [one], silent);
    watch.start();
    vi.advanceTimersByTime(250);
    expect(vi.getTimerCount()).toBe(0);
    one.unsettled = 1;
    watch.start();
    vi.advanceTimersByTime(1_000);
    expect(silent).toHaveBeenCalledTimes(1);
  });

  it('makes queues on a detour choose again', () => {
    const [there, away] = [queue(0), queue(1)];
    there.version = 3;
    away.version = 3;
    away.detour = true;
    new AckWatch(
      () => [there, away],
      () => undefined,
    ).start();
    vi.advanceTimersByTime(250);
    expect([there.version, away.version]).toEqual([3, -1]);
  });
});

describe('QueueWakeups', () => {
  function waking() {
    const woken: [PartitionQueue, number][] = [];
    const began = performance.now();
    const wakeups = new QueueWakeups((one) => woken.push([one, performance.now() - began]));
    return { woken, wakeups, at: (one: PartitionQueue, ms: number) => wakeups.at(one, began + ms) };
  }

  it('wakes all waiting queues at the earliest time', () => {
    const { woken, at } = waking();
    const [one, two, three] = [queue(0), queue(1), queue(2)];
    at(one, 50);
    at(two, 30);
    at(three, 80);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(29);
    expect(woken).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(woken).toEqual([
      [one, 30],
      [two, 30],
      [three, 30],
    ]);
  });

  it('wakes no queue early, and one whose time has passed at once', () => {
    const { woken, at } = waking();
    at(queue(), 10.4);
    vi.advanceTimersByTime(200);
    expect(woken[0]![1]).toBeGreaterThanOrEqual(10.4);
    at(queue(), 5);
    vi.advanceTimersByTime(1);
    expect(woken.map(([, time]) => time)).toEqual([11, 201]);
  });

  it('can be requested again by a queue that was woken early', () => {
    const again: number[] = [];
    const began = performance.now();
    const wakeups: QueueWakeups = new QueueWakeups((one) => {
      again.push(performance.now() - began);
      if (again.length < 3) wakeups.at(one, performance.now() + 20);
    });
    wakeups.at(queue(), began + 10);
    vi.advanceTimersByTime(500);
    expect(again).toEqual([10, 30, 50]);
  });

  it('wakes each queue once in the next turn, and again when it asks then', () => {
    const woken: PartitionQueue[] = [];
    let asks = 1;
    const wakeups: QueueWakeups = new QueueWakeups((one) => {
      woken.push(one);
      if (asks-- > 0) wakeups.nextTurn(one);
    });
    const [one, two] = [queue(0), queue(1)];
    wakeups.nextTurn(one);
    wakeups.nextTurn(two);
    wakeups.nextTurn(one);
    expect(woken).toEqual([]);
    vi.advanceTimersByTime(1);
    vi.advanceTimersByTime(1);
    expect(woken).toEqual([one, two, one]);
  });

  it('calls no queue after stop', () => {
    const { woken, wakeups, at } = waking();
    at(queue(), 10);
    wakeups.nextTurn(queue());
    wakeups.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(100);
    expect(woken).toEqual([]);
    const later = queue();
    at(later, 150);
    vi.advanceTimersByTime(50);
    expect(woken).toEqual([[later, 150]]);
  });
});

describe('LeaderSearch', () => {
  function searching(signal = new AbortController().signal) {
    const refreshed: [number, readonly string[]][] = [];
    const pumped: PartitionQueue[] = [];
    const began = performance.now();
    let failure: Error | null = null;
    const logged: unknown[] = [];
    const cluster = {
      refresh: async (streams: readonly string[]) => {
        refreshed.push([Math.round(performance.now() - began), streams]);
        if (failure !== null) throw failure;
      },
      logger: { debug: (context: unknown) => logged.push(context) },
    };
    const search = new LeaderSearch(cluster as never, 1_000, signal, (one) => pumped.push(one));
    const fail = (error: Error) => {
      failure = error;
    };
    return { search, refreshed, pumped, fail, logged, times: () => refreshed.map(([time]) => time) };
  }

  it('runs for the grace period, with growing pauses, while publishes wait, and pumps after each refresh', async () => {
    const { search, refreshed, pumped, times } = searching();
    const one = queue();
    one.unsettled = 1;
    search.start([one]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(times()).toEqual([0, 100, 210, 331, 464, 610, 771, 948, 1_142]);
    expect(refreshed[0]![1]).toEqual(['orders']);
    expect(pumped).toHaveLength(times().length);
  });

  it('refreshes twice a second in the end, as long as the trouble lasts', async () => {
    const { search, times } = searching();
    const one = queue();
    one.waiting.push(publish());
    one.beginTrouble();
    search.start([one]);
    await vi.advanceTimersByTimeAsync(20_000);
    const [before, last] = times().slice(-2);
    expect(last! - before!).toBe(500);
    one.trouble = null;
    await vi.advanceTimersByTimeAsync(500);
    const count = times().length;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(times()).toHaveLength(count);
  });

  it('ends at once for a queue without publishes, and is shared by all queues', async () => {
    const { search, refreshed, pumped } = searching();
    const [idle, other] = [queue(0), new PartitionQueue('clicks', 0)];
    other.unsettled = 1;
    search.start([]);
    expect(refreshed).toEqual([]);
    search.start([idle]);
    search.start([other]);
    await vi.advanceTimersByTimeAsync(50);
    expect(refreshed).toEqual([[0, ['orders']]]);
    expect(pumped).toEqual([idle, other]);
    await vi.advanceTimersByTimeAsync(60);
    expect(refreshed.at(-1)![1]).toEqual(['clicks']);
    expect(pumped).toEqual([idle, other, other]);
    // It has ended and can start again.
    other.unsettled = 0;
    await vi.advanceTimersByTimeAsync(2_000);
    const looks = refreshed.length;
    search.start([idle]);
    await vi.advanceTimersByTimeAsync(0);
    expect(refreshed).toHaveLength(looks + 1);
  });

  it('continues after a refresh that fails', async () => {
    const { search, pumped, fail, logged } = searching();
    const one = queue();
    one.unsettled = 1;
    fail(new Error('no broker'));
    search.start([one]);
    await vi.advanceTimersByTimeAsync(150);
    expect(pumped).toHaveLength(2);
    expect(logged).toHaveLength(2);
  });

  it('ends with its signal during a pause', async () => {
    const closing = new AbortController();
    const { search, times } = searching(closing.signal);
    const one = queue();
    one.unsettled = 1;
    search.start([one]);
    await vi.advanceTimersByTimeAsync(50);
    closing.abort();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(times()).toEqual([0]);
  });
});
