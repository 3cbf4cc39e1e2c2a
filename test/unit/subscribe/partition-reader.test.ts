import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PartitionReader } from '../../../src/subscribe/partition-reader.js';
import { planRead, readSubscribe, type SubscribeOptions } from '../../../src/subscribe/positions.js';
import type { StreamEnd } from '../../../src/transport/stream-end.js';
import { FakeCluster, LOST, refusal } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/backoff.js', () => import('../../support/steady-backoff.js'));

let cluster: FakeCluster;
let log: string[];
let failure: unknown;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  log = [];
  failure = null;
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

function reading(options: SubscribeOptions = {}, more: { resubscribeTimeout?: number; isMember?: boolean } = {}) {
  const plan = planRead(readSubscribe('orders', { startAt: 'earliest', ...options }));
  const consumer = more.isMember ? { groupId: 'g', consumerId: 'c', groupEpoch: 1n } : plan.consumer;
  const { resubscribeTimeout = 10_000 } = more;
  const fetchCursor = async () => 4n;
  return new PartitionReader(
    cluster as never,
    'orders',
    0,
    { ...plan, consumer } as never,
    { requestTimeout: 1_000, resubscribeTimeout, fetchCursor },
    {
      messages: (messages) => void log.push(...messages.map(({ offset }) => String(offset))),
      done: (why) => void log.push(why === 'complete' ? 'done' : why),
      failed: (error) => {
        failure = error;
        log.push(`failed ${(error as { code?: string }).code}`);
      },
    },
  );
}

async function opened(...options: Parameters<typeof reading>): Promise<PartitionReader> {
  const reader = reading(...options);
  await reader.open({});
  return reader;
}

describe('a reader of a partition', () => {
  it('delivers what its call brings', async () => {
    const reader = await opened();
    cluster.call.deliver(0, 1);
    expect(log).toEqual(['0', '1']);
    expect(reader.position).toBe(2n);
    expect(reader.over).toBe(false);
  });

  it('begins behind its cursor', async () => {
    const reader = await opened({ startAt: { cursor: 'billing' } });
    expect(reader.position).toBe(5n);
  });

  it('delivers what comes in the same turn as the confirmation', async () => {
    cluster.answers = [
      (call) => {
        call.confirm();
        call.deliver(0);
      },
    ];
    await opened();
    expect(log).toEqual(['0']);
  });

  it('delivers nothing after it was cancelled, and cancels its call', async () => {
    const reader = await opened();
    const { call } = cluster;
    reader.cancel();
    call.deliver(0);
    expect(call.cancelled).toBe('the subscription was closed');
    expect([log, reader.over]).toEqual([[], true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('cancels a call that is confirmed only after it was closed', async () => {
    cluster.answers = [() => undefined];
    const reader = reading();
    const opening = reader.open({});
    await pass();
    const { call } = cluster;
    reader.cancel();
    call.confirm();
    await opening;
    expect(call.cancelled).toBe('the subscription was closed');
    call.deliver(0);
    expect(log).toEqual([]);
  });

  it('delivers nothing of a call that another one has followed', async () => {
    await opened();
    const first = cluster.call;
    first.deliver(0);
    cluster.leaderId = 'b';
    first.end(LOST);
    await pass();
    expect(cluster.call.broker).toBe('b');
    first.deliver(1);
    cluster.call.deliver(1);
    expect(log).toEqual(['0', '1']);
    first.end(refusal(7, 'denied'));
    await pass();
    expect(failure).toBeNull();
  });

  it('pauses and resumes its call, and those that follow', async () => {
    const reader = await opened();
    reader.pause();
    expect(cluster.call.paused).toBe(true);
    cluster.call.end(LOST);
    await pass();
    expect([cluster.calls.length, cluster.call.paused]).toEqual([2, true]);
    reader.resume();
    expect(cluster.call.paused).toBe(false);
    cluster.call.end(LOST);
    await pass();
    expect([cluster.calls.length, cluster.call.paused]).toEqual([3, false]);
  });
});

describe('a reader whose call breaks', () => {
  it('goes on with the next offset, and tells so', async () => {
    await opened();
    cluster.call.deliver(0, 1);
    const before = cluster.refreshes;
    cluster.call.end(LOST);
    await pass();
    expect(cluster.refreshes).toBe(before + 1);
    expect(cluster.refreshed).toEqual(['orders']);
    expect(cluster.emitted).toEqual([
      ['resubscribe', expect.objectContaining({ stream: 'orders', partition: 0, position: 2n })],
    ]);
    cluster.call.deliver(1, 2);
    expect(log).toEqual(['0', '1', '2']);
  });

  it('goes on although the metadata cannot be refreshed', async () => {
    await opened();
    cluster.refreshFails = true;
    cluster.call.end(LOST);
    await pass();
    expect(cluster.calls).toHaveLength(2);
  });

  it('tries again ever less often, and fails with the first error when the time is up', async () => {
    await opened({}, { resubscribeTimeout: 5_000 });
    cluster.leaderId = null;
    const began = performance.now();
    cluster.call.end(LOST);
    await pass(20_000);
    const delays = cluster.emitted.map(([, { delay }]) => delay);
    expect(delays).toEqual([10, 20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000]);
    expect(log).toEqual(['failed CONNECTION']);
    expect(failure).toMatchObject({ reason: 'lost' });
    expect(performance.now()).toBe(began + 20_000);
  });

  it('fails at once without time to recover', async () => {
    await opened({}, { resubscribeTimeout: 0 });
    cluster.call.end(LOST);
    await pass();
    expect([log, cluster.calls.length]).toEqual([['failed CONNECTION'], 1]);
  });

  it('counts the time anew after a message, or a call that was open for five seconds', async () => {
    await opened({}, { resubscribeTimeout: 1_000 });
    const breaks = async (ms: number) => {
      await pass(ms);
      cluster.call.end(LOST);
      await pass();
    };
    await breaks(0);
    await breaks(600);
    cluster.call.deliver(0);
    await breaks(600);
    await breaks(600);
    expect(log).toEqual(['0']);
    await breaks(5_000);
    expect(log).toEqual(['0']);
    await breaks(600);
    await breaks(600);
    expect(log).toEqual(['0', 'failed CONNECTION']);
  });

  it('does not count a break after it was closed', async () => {
    const reader = await opened();
    reader.cancel();
    cluster.call.end(LOST);
    await pass(1_000);
    expect([log, cluster.calls.length, cluster.emitted]).toEqual([[], 1, []]);
  });

  it.each<[string, StreamEnd, string]>([
    ['a refusal that stays', refusal(7, 'denied'), 'failed PERMISSION_DENIED'],
    ['the end of a partition that takes nothing more', refusal(8, 'End of readonly partition'), 'done'],
  ])('ends with %s', async (_what, end, expected) => {
    await opened();
    cluster.call.end(end);
    await pass();
    expect([log, cluster.calls.length]).toEqual([[expected], 1]);
  });

  it('of a member of a group ends as revoked when the broker ends it, and of anybody else goes on', async () => {
    const reader = await opened({}, { isMember: true });
    cluster.call.end(refusal(0, ''));
    await pass();
    expect([log, reader.over]).toEqual([['revoked'], true]);
    log = [];
    await opened();
    const { length } = cluster.calls;
    cluster.call.end(refusal(0, ''));
    await pass();
    expect([log, cluster.calls.length]).toEqual([[], length + 1]);
  });
});

describe('a reader that hears of new metadata', () => {
  it('moves when its broker does not serve the partition any more', async () => {
    const reader = await opened();
    const first = cluster.call;
    reader.metadataChanged();
    expect(first.cancelled).toBeNull();
    cluster.leaderId = 'b';
    reader.metadataChanged();
    expect(first.cancelled).toBe('the partition has moved');
    await pass();
    expect(cluster.call.broker).toBe('b');
    expect(cluster.emitted[0]![1].error).toMatchObject({ message: expect.stringContaining('served by broker b now') });
  });

  it('stays while no leader is known', async () => {
    const reader = await opened();
    cluster.leaderId = null;
    reader.metadataChanged();
    expect(cluster.call.cancelled).toBeNull();
  });

  it('stays at a replica that is in sync, and leaves it when it is not', async () => {
    cluster.replicas = ['b'];
    const reader = await opened({ readIsrReplica: true });
    expect(cluster.call.broker).toBe('b');
    cluster.replicas = ['c', 'b'];
    reader.metadataChanged();
    expect(cluster.calls).toHaveLength(1);
    cluster.replicas = ['c'];
    reader.metadataChanged();
    await pass();
    expect(cluster.calls.map(({ broker }) => broker)).toEqual(['b', 'c']);
  });

  it('takes no notice while it has no call', async () => {
    const reader = await opened();
    cluster.answers = [() => undefined];
    cluster.call.end(LOST);
    await pass();
    const { length } = cluster.calls;
    cluster.leaderId = 'b';
    cluster.created = 2;
    reader.metadataChanged();
    await pass();
    expect([log, cluster.calls.length]).toEqual([[], length]);
  });

  it('fails when the stream is another one of its name', async () => {
    const reader = await opened();
    cluster.created = 2;
    reader.metadataChanged();
    expect(log).toEqual(['failed STREAM_DELETED']);
  });
});

describe('a reader that is opened', () => {
  it('tries again while there is no leader, and tells so', async () => {
    cluster.leaderId = null;
    const opening = reading().open({});
    await pass();
    cluster.leaderId = 'a';
    await pass(10);
    await opening;
    expect(cluster.emitted).toMatchObject([['retry', { operation: 'Subscribe', attempt: 1, delay: 10 }]]);
  });

  it('rejects when no broker confirms in time, with what went wrong last', async () => {
    cluster.leaderId = null;
    const reader = reading();
    const opening = expect(reader.open({ timeout: 300 })).rejects.toMatchObject({
      code: 'CONNECTION',
      reason: 'no-leader',
    });
    await pass(300);
    await opening;
    expect(reader.over).toBe(true);
  });

  it.each([
    ['gone', 'NO_SUCH_PARTITION'],
    ['replaced', null],
    ['unsure', null],
  ])('believes a broker that does not know the stream only when it is certain: %s', async (existing, code) => {
    cluster.existing = existing;
    cluster.answers = [(call) => call.end(refusal(5, 'no such partition')), (call) => call.confirm()];
    const opening = reading()
      .open({})
      .then(
        () => null,
        (error: { code: string }) => error.code,
      );
    await pass(20);
    expect(await opening).toBe(code);
  });

  it('is over when a bounded range is empty', async () => {
    const reader = await opened({ startAt: { offset: 5 }, stopAt: { offset: 4 } });
    expect([log, reader.over, cluster.calls.length]).toEqual([['done'], true, 0]);
  });

  it('is over with the last message of its range, and hands out nothing behind it', async () => {
    const reader = await opened({ stopAt: { offset: 1 } });
    cluster.call.deliver(0, 1, 2);
    expect([log, reader.over]).toEqual([['0', '1', 'done'], true]);
    expect(cluster.call.cancelled).not.toBeNull();
  });

  it('fails when a server reads forward that was asked to read in reverse', async () => {
    await opened({ reverse: true, startAt: { offset: 4 } });
    cluster.call.deliver(4, 5);
    expect(log).toEqual(['4', 'failed SERVER']);
  });
});
