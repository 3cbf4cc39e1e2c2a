import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClosedError, ConnectionError, TimeoutError } from '../../../src/errors.js';
import { StartPosition } from '../../../src/protocol/generated/api.js';
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

function reading(
  options: SubscribeOptions = {},
  more: { resubscribeTimeout?: number; isMember?: boolean; cursor?: bigint } = {},
) {
  const plan = planRead(readSubscribe('orders', { startAt: 'earliest', ...options }));
  const consumer = more.isMember ? { groupId: 'g', consumerId: 'c', groupEpoch: 1n } : plan.consumer;
  const { resubscribeTimeout = 10_000 } = more;
  const cursors = { fetch: async () => more.cursor ?? 4n };
  return new PartitionReader(
    cluster as never,
    'orders',
    0,
    { ...plan, consumer } as never,
    { requestTimeout: 1_000, resubscribeTimeout, cursors },
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

  it('begins at the beginning when its cursor holds nothing, and where the server does in reverse', async () => {
    const reader = await opened({ startAt: { cursor: 'billing' } }, { cursor: -1n });
    expect(reader.position).toBe(0n);
    cluster.ends = undefined;
    await opened({ startAt: { cursor: 'billing' }, reverse: true }, { cursor: -1n });
    expect(cluster.call.request.startPosition).toBe(StartPosition.EARLIEST);
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
  it("continues with the next offset, and emits 'resubscribe'", async () => {
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

  it('continues although the metadata cannot be refreshed', async () => {
    await opened();
    cluster.refreshFails = true;
    cluster.call.end(LOST);
    await pass();
    expect(cluster.calls).toHaveLength(2);
  });

  it('tries again at growing intervals, and fails with the first error when the time is up', async () => {
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

  it('restarts the time for recovery after a message, or a call that was open for five seconds', async () => {
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

  it('waits briefly again once a message has come', async () => {
    await opened();
    const fails = { answers: [(call: FakeCluster['call']) => call.end(LOST)] };
    for (const delays of [
      [10, 20],
      [10, 20],
    ]) {
      cluster.emitted.length = 0;
      cluster.answers = fails.answers;
      cluster.call.end(LOST);
      await pass(29);
      expect(cluster.emitted.map(([, { delay }]) => delay)).toEqual(delays);
      cluster.answers = [(call) => call.confirm()];
      await pass(1);
      cluster.call.deliver(Number(log.length));
    }
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
    if (expected !== 'done') expect(failure).toMatchObject({ broker: 'a', stream: 'orders', partition: 0 });
  });

  it('ends as revoked when it reads for a member of a group and the broker ends it, and continues otherwise', async () => {
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

describe('a reader that is told of new metadata', () => {
  it('moves when its broker does not serve the partition any more', async () => {
    const reader = await opened();
    const first = cluster.call;
    reader.metadataChanged();
    expect(first.cancelled).toBeNull();
    cluster.leaderId = 'b';
    reader.metadataChanged();
    expect(first.cancelled).toBe('the partition has moved');
    first.deliver(0);
    await pass();
    expect(log).toEqual([]);
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

  it('moves once while it opens the next call', async () => {
    const reader = await opened();
    cluster.answers = [() => undefined];
    cluster.leaderId = 'b';
    reader.metadataChanged();
    await pass();
    cluster.leaderId = 'c';
    reader.metadataChanged();
    await pass();
    expect(cluster.calls.map(({ broker }) => broker)).toEqual(['a', 'b']);
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
    reader.pause();
    reader.resume();
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
  it("tries again while there is no leader, and emits 'retry'", async () => {
    cluster.leaderId = null;
    const opening = reading().open({});
    await pass();
    cluster.leaderId = 'a';
    await pass(10);
    await opening;
    expect(cluster.emitted).toMatchObject([['retry', { operation: 'Subscribe', attempt: 1, delay: 10 }]]);
    expect(cluster.sought).toEqual([]);
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

  it('rejects with the failure of the attempt before the one that its timeout cut short', async () => {
    const silent = (): void => undefined;
    cluster.answers = [(call) => call.end(refusal(14, 'shutting down')), silent];
    const opening = expect(reading().open({ timeout: 300 })).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringContaining('shutting down'),
    });
    await pass(400);
    await opening;
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

  it('rejects with the reason of its signal, without another attempt', async () => {
    cluster.answers = [() => undefined];
    const stop = new AbortController();
    const reason = new TimeoutError('enough');
    const opening = expect(reading().open({ signal: stop.signal })).rejects.toBe(reason);
    await pass();
    stop.abort(reason);
    await opening;
    expect([cluster.emitted, cluster.calls.length]).toEqual([[], 1]);
  });

  it('is over when a bounded range is empty', async () => {
    const reader = await opened({ startAt: { offset: 5 }, stopAt: { offset: 4 } });
    expect([log, reader.over, cluster.calls.length]).toEqual([['done'], true, 0]);
  });

  it('is over with the last message of its range, and delivers nothing behind it', async () => {
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

describe('a reader whose stream may be deleted', () => {
  it.each([
    ['gone', ['failed STREAM_DELETED'], 1],
    ['replaced', ['failed STREAM_DELETED'], 1],
    ['present', [], 2],
  ])('fails or continues as the cluster decides: %s', async (existing, expected, calls) => {
    await opened();
    cluster.existing = existing;
    cluster.call.end(refusal(5, 'Stream deleted'));
    await pass();
    expect([log, cluster.calls.length]).toEqual([expected, calls]);
    expect(cluster.sought).toEqual([{ stream: 'orders', createdAt: 1, deletedBy: 'a' }]);
  });

  it('fails when the cluster cannot decide', async () => {
    await opened();
    cluster.existence = () => Promise.reject(new ClosedError('closed'));
    cluster.call.end(refusal(5, 'Stream deleted'));
    await pass();
    expect(log).toEqual(['failed CLOSED']);
  });

  it('fails as deleted when the cluster no longer knows the stream after a break', async () => {
    await opened();
    cluster.existing = 'gone';
    cluster.partitions = 0;
    cluster.call.end(LOST);
    await pass();
    expect(log).toEqual(['failed STREAM_DELETED']);
    expect(failure).toMatchObject({ cause: { code: 'NO_SUCH_STREAM' } });
  });

  it('fails as deleted when the stream was recreated during a break', async () => {
    await opened();
    cluster.created = 2;
    cluster.call.end(LOST);
    await pass();
    expect([log, cluster.calls.length]).toEqual([['failed STREAM_DELETED'], 1]);
  });

  it('follows a stream that is recreated while it is opened', async () => {
    cluster.answers = [(call) => call.end(LOST), (call) => call.confirm()];
    const opening = reading().open({});
    await pass();
    cluster.created = 2;
    await pass(10);
    await opening;
    expect(log).toEqual([]);
  });
});

describe('a reader that is cancelled while it recovers', () => {
  it('does not report that it continues', async () => {
    const reader = await opened();
    cluster.answers = [() => undefined];
    cluster.call.end(LOST);
    await pass();
    reader.cancel();
    cluster.call.confirm();
    await pass(5_000);
    expect([log, cluster.emitted, cluster.calls.length]).toEqual([[], [], 2]);
  });
});

describe('a reader that may read from replicas', () => {
  it('reads from the leader when no replica is known', async () => {
    await opened({ readIsrReplica: true });
    expect(cluster.call.broker).toBe('a');
  });

  it('asks the leader when a replica has nothing of what is stored', async () => {
    cluster.replicas = ['b'];
    cluster.answers = [(call) => call.end(refusal(13, 'segment not found')), (call) => call.confirm()];
    const opening = reading({ readIsrReplica: true, reverse: true, startAt: 'latest' }).open({});
    await pass(10);
    await opening;
    expect(cluster.calls.map(({ broker }) => broker)).toEqual(['b', 'a']);
    expect(log).toEqual([]);
  });

  it('believes a leader that has nothing, and a replica when nothing is stored', async () => {
    cluster.replicas = ['b'];
    cluster.answers = [(call) => call.end(refusal(13, 'segment not found'))];
    const opening = reading({ readIsrReplica: true, reverse: true, startAt: 'latest' }).open({});
    await pass(10);
    await opening;
    expect(cluster.calls.map(({ broker }) => broker)).toEqual(['b', 'a']);
    expect(log).toEqual(['done']);
  });

  it.each<[string, SubscribeOptions, number]>([
    ['in reverse', { reverse: true, startAt: 'latest' }, 1],
    ['forward, from a readonly partition', { stopAt: 'latest' }, 1],
  ])('is not asked for: a leader that has nothing is believed %s', async (_what, options, calls) => {
    const end = options.reverse ? refusal(13, 'segment not found') : refusal(8, 'Stream is empty');
    cluster.answers = [(call) => call.end(end)];
    await opened(options);
    expect([log, cluster.calls.length]).toEqual([['done'], calls]);
  });

  it('tries again while a log that was cut back ends before the start', async () => {
    cluster.answers = [(call) => call.end(refusal(13, 'segment not found')), (call) => call.confirm()];
    const opening = reading({ startAt: { offset: 20 } }).open({});
    await pass(10);
    await opening;
    expect([log, cluster.calls.length]).toEqual([[], 2]);
  });
});

describe('a reader that asks for the ends of its partition', () => {
  it('asks before the call where the range needs them, and after each break', async () => {
    await opened({ startAt: 'new' });
    expect(cluster.unary).toHaveLength(1);
    expect(cluster.call.request).toMatchObject({ startPosition: StartPosition.OFFSET, startOffset: 10n });
    cluster.ends = { newestOffset: 4n, highWatermark: 4n, isr: ['a'] };
    cluster.call.end(LOST);
    await pass();
    expect(cluster.unary).toHaveLength(2);
    expect(cluster.call.request.startOffset).toBe(5n);
  });

  it('does not ask where the range does not need them, nor again between attempts', async () => {
    await opened({ startAt: { offset: 2 } });
    expect(cluster.unary).toEqual([]);
    cluster.answers = [(call) => call.end(LOST), (call) => call.confirm()];
    const opening = reading({ startAt: 'new' }).open({});
    await pass(10);
    await opening;
    expect(cluster.unary).toHaveLength(1);
  });

  it('leaves the start to the broker while the leader does not return them', async () => {
    cluster.ends = undefined;
    await opened({ startAt: 'new' });
    expect(cluster.call.request.startPosition).toBe(StartPosition.NEW_ONLY);
  });

  it('finds the offset of a start time', async () => {
    cluster.answers = [
      (call) => {
        call.confirm();
        call.deliver(9);
      },
    ];
    const reader = await opened({ startAt: { time: 1_000n } });
    expect(reader.position).toBe(10n);
    expect(cluster.calls.map(({ request }) => request.startOffset)).toEqual([9n, 10n]);
  });
});

describe('a reader that begins at a time', () => {
  /** Opens the reader; `look` is what becomes of its first probe read of the newest message; the later ones find it. */
  async function openedAfter(look: (call: FakeCluster['call']) => void): Promise<PartitionReader> {
    cluster.answers = [
      look,
      (call) => {
        call.confirm();
        call.deliver(9);
      },
    ];
    const reader = reading({ startAt: { time: 1_000n } });
    const opening = reader.open({});
    await pass(600);
    await opening;
    return reader;
  }
  const starts = () => cluster.calls.map(({ request }) => [request.startPosition, request.startOffset]);
  const found = [
    [StartPosition.OFFSET, 9n],
    [StartPosition.OFFSET, 9n],
    [StartPosition.OFFSET, 10n],
  ];

  it('looks for the offset again when the leader was not reached', async () => {
    const { session } = cluster;
    cluster.session = async () => {
      cluster.session = session;
      throw new ConnectionError('the connection was lost', { reason: 'lost' });
    };
    const reader = await openedAfter((call) => {
      call.confirm();
      call.deliver(9);
    });
    expect(reader.position).toBe(10n);
    expect(starts()).toEqual(found.slice(1));
  });

  it.each([
    ['broke before it was confirmed', (call: FakeCluster['call']) => call.end(LOST)],
    [
      'was refused by a broker that is not the leader',
      (call: FakeCluster['call']) => call.end(refusal(9, 'no leader')),
    ],
    [
      'broke after it was confirmed',
      (call: FakeCluster['call']) => {
        call.confirm();
        call.end(LOST);
      },
    ],
  ])('looks for the offset again when the probe read %s', async (_, look) => {
    const reader = await openedAfter(look);
    expect(reader.position).toBe(10n);
    expect(starts()).toEqual(found);
  });

  it('begins behind the end when the leader has nothing to read', async () => {
    const reader = await openedAfter((call) => call.end(refusal(8, 'Stream is empty')));
    expect(reader.position).toBe(10n);
    expect(starts()).toEqual(found.slice(1));
  });
});

describe('a reader that resumes a paused partition', () => {
  const opening = async (count: number) => {
    const work = reading({ startAt: 'new', resume: true }).open({});
    await pass(500);
    await work;
    expect(cluster.calls).toHaveLength(count);
  };

  it('opens another call once the leader returns the ends', async () => {
    cluster.ends = undefined;
    cluster.onRefresh = () => {
      cluster.ends = { newestOffset: 4n, highWatermark: 4n, isr: ['a'] };
    };
    await opening(2);
    expect(cluster.calls[0]!.cancelled).toBe('the partition is resumed');
    expect(cluster.call.request.startOffset).toBe(5n);
    expect(cluster.emitted).toMatchObject([['retry', { error: { reason: 'no-leader' } }]]);
  });

  it('continues without the ends after three more calls', async () => {
    cluster.ends = undefined;
    await opening(4);
    expect(cluster.call.cancelled).toBeNull();
  });

  it('opens one call where the ends are known', async () => {
    await opening(1);
  });
});

describe('a bounded reader that receives nothing', () => {
  /** What the probe read returns is `offset`; null: the log ends there. */
  const probing = async (options: SubscribeOptions, offset: number | null) => {
    const reader = await opened(options);
    const { call } = cluster;
    cluster.answers = [
      (probe) => {
        probe.confirm();
        if (offset === null) probe.end(refusal(2, 'EOF'));
        else probe.deliver(offset);
      },
    ];
    return { reader, call };
  };

  it('is over when nothing of its range is left', async () => {
    const { reader, call } = await probing({ startAt: { offset: 3 }, stopAt: { offset: 8 } }, 2);
    await pass(299);
    expect(cluster.calls).toHaveLength(1);
    await pass(1);
    expect([log, reader.over, call.cancelled !== null]).toEqual([['done'], true, true]);
    expect(cluster.calls[1]!.request).toMatchObject({ startOffset: 8n, reverse: true });
  });

  it('waits while something is left', async () => {
    const { reader } = await probing({ startAt: { offset: 3 }, stopAt: { offset: 8 } }, 5);
    await pass(300);
    expect([log, reader.over, cluster.calls.length]).toEqual([[], false, 2]);
  });

  it('does not probe while it is paused, nor after each message, nor where the range has no end', async () => {
    const { reader } = await probing({ startAt: { offset: 3 }, stopAt: { offset: 8 } }, 2);
    reader.pause();
    await pass(300);
    reader.resume();
    await pass(500);
    cluster.calls[0]!.deliver(3);
    await pass(100);
    expect([log, cluster.calls.length]).toEqual([['3'], 1]);
    reader.cancel();
    await opened({ startAt: { offset: 3 } });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not over when a message comes during the probe', async () => {
    const { reader, call } = await probing({ startAt: { offset: 3 }, stopAt: { offset: 8 } }, 2);
    cluster.answers = [
      (probe) => {
        probe.confirm();
        call.deliver(3);
        probe.deliver(2);
      },
    ];
    await pass(300);
    expect([log, reader.over]).toEqual([['3'], false]);
  });

  it('is not over when its call breaks during the probe', async () => {
    const { reader, call } = await probing({ startAt: { offset: 3 }, stopAt: { offset: 8 } }, 2);
    let probes = 0;
    cluster.answers = [
      (probe) => {
        probe.confirm();
        if (probes++ > 0) return;
        call.end(LOST);
        void Promise.resolve().then(() => probe.deliver(2));
      },
    ];
    await pass(300);
    expect([log, reader.over]).toEqual([[], false]);
  });

  it('survives a leader that cannot be asked', async () => {
    await opened({ startAt: { offset: 3 }, stopAt: { offset: 8 } });
    cluster.ends = new TimeoutError('late');
    await pass(300);
    expect(log).toEqual([]);
    cluster.ends = { newestOffset: 9n, highWatermark: 9n, isr: ['a'] };
    cluster.answers = [
      (probe) => {
        probe.confirm();
        probe.deliver(2);
      },
    ];
    await pass(600);
    expect(log).toEqual(['done']);
  });

  it.each([
    [[5, 6], ['failed SERVER']],
    [[5, 4], []],
  ])('in reverse finds out whether the server can: %j', async (offsets, expected) => {
    await opened({ reverse: true, startAt: { offset: 5 } });
    cluster.answers = [
      (probe) => {
        probe.confirm();
        probe.deliver(...offsets);
      },
    ];
    await pass(300);
    expect(log).toEqual(expected);
  });
});

describe('a reverse reader whose call reaches its end', () => {
  it('reads the rest over another call where a readonly partition ended it after a message', async () => {
    await opened({ reverse: true, startAt: { offset: 5 } });
    cluster.call.deliver(5);
    const { refreshes } = cluster;
    cluster.call.end(refusal(8, 'Stop offset reached'));
    await pass();
    expect([log, cluster.calls.length, cluster.refreshes]).toEqual([['5'], 2, refreshes]);
    expect(cluster.call.request.startOffset).toBe(4n);
    expect(cluster.emitted).toEqual([]);
  });

  it.each<[string, StreamEnd, number[]]>([
    ['at the oldest message', refusal(2, 'EOF'), [5]],
    ['without any message', refusal(8, 'Stop offset reached'), []],
    ['with offset 0', refusal(8, 'Stop offset reached'), [1, 0]],
  ])('is over %s', async (_what, end, offsets) => {
    await opened({ reverse: true, startAt: { offset: 5 } });
    cluster.call.deliver(...offsets);
    cluster.call.end(end);
    await pass();
    expect([log, cluster.calls.length]).toEqual([[...offsets.map(String), 'done'], 1]);
  });
});

describe('a reader of a bounded range', () => {
  it('leaves out what comes again, in front of the last message', async () => {
    await opened({ startAt: { offset: 1 }, stopAt: { offset: 3 } });
    cluster.call.deliver(0, 1, 1, 2, 3);
    expect(log).toEqual(['1', '2', '3', 'done']);
  });

  it('delivers nothing of a chunk that lies before its start', async () => {
    await opened({ startAt: { offset: 5 } });
    cluster.call.deliver(3, 4);
    cluster.call.deliver(4, 5, 6);
    expect(log).toEqual(['5', '6']);
  });

  it('ends in front of a message beyond its end', async () => {
    await opened({ stopAt: { offset: 3 } });
    cluster.call.deliver(2, 5);
    expect(log).toEqual(['2', 'done']);
  });
});
