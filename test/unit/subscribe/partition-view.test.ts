import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError, PartitionPausedError, TimeoutError } from '../../../src/errors.js';
import { StartPosition, StopPosition } from '../../../src/protocol/generated/api.js';
import { PartitionView } from '../../../src/subscribe/partition-view.js';
import { FakeCluster, LOST, refusal } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let view: PartitionView;
beforeEach(() => {
  vi.useFakeTimers();
  cluster = new FakeCluster();
  view = new PartitionView(cluster as never, 'orders', 3, false);
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const { signal } = new AbortController();

describe('the ends of a partition', () => {
  it('are those that its leader returns', async () => {
    cluster.ends = { newestOffset: 7n, highWatermark: 5n, isr: ['a', 'b'] };
    expect(await view.ends({ signal })).toEqual({ newest: 7n, committed: 5n, inSync: 2 });
    expect(cluster.unary).toEqual([
      ['fetchPartitionMetadata', 'a', { stream: 'orders', partition: 3 }, { signal, timeout: 2_000 }],
    ]);
  });

  it.each([
    [{ timeout: 500 }, 500],
    [{ timeout: 60_000 }, 2_000],
  ])('are waited for at most two seconds: %j', async (waiting, timeout) => {
    await view.ends(waiting);
    expect(cluster.unary[0]![3]).toEqual({ timeout });
  });

  it.each([
    ['the answer has none', undefined],
    ['the partition is paused', new PartitionPausedError('paused')],
    ['it is led by another broker', new ConnectionError('moved', { reason: 'no-leader' })],
  ])('are unknown when %s', async (_why, ends) => {
    cluster.ends = ends;
    expect(await view.ends({})).toBeNull();
  });

  it.each([new ConnectionError('refused', { reason: 'refused' }), new TimeoutError('late'), new Error('a defect')])(
    'reject while the leader cannot be reached: %s',
    async (error) => {
      cluster.ends = error;
      await expect(view.ends({})).rejects.toBe(error);
    },
  );

  it('reject with the reason of the signal', async () => {
    cluster.ends = new PartitionPausedError('paused');
    await expect(view.ends({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });

  it('are unknown while no leader is known, and nothing can be read', async () => {
    cluster.leaderId = null;
    await expect(view.ends({})).resolves.toBeNull();
    expect(cluster.unary).toEqual([]);
    await expect(view.first({ at: 'earliest' }, {})).rejects.toMatchObject({ reason: 'no-leader' });
  });
});

describe('the first message of a range', () => {
  it('is read from the leader, up to its own offset', async () => {
    const first = view.first({ at: 'offset', offset: 4n }, { signal });
    await pass();
    cluster.call.deliver(4);
    expect((await first)?.offset).toBe(4n);
    expect(cluster.call.request).toMatchObject({
      stream: 'orders',
      partition: 3,
      startPosition: StartPosition.OFFSET,
      startOffset: 4n,
      stopPosition: StopPosition.STOP_OFFSET,
      stopOffset: 4n,
      reverse: false,
      readISRReplica: false,
      resume: false,
    });
  });

  it('is read without an end when the start is a time, and resumes the partition where the reader does', async () => {
    const resuming = new PartitionView(cluster as never, 'orders', 3, true);
    const first = resuming.first({ at: 'time', time: 5n }, { signal });
    await pass(500);
    expect(await first).toBeNull();
    expect(cluster.call.request).toMatchObject({
      startPosition: StartPosition.TIMESTAMP,
      stopPosition: StopPosition.STOP_ON_CANCEL,
      resume: true,
    });
  });
});

describe('the outlook of a forward read', () => {
  /** The outlook at offset 5 up to 8; `probe` is what the call that reads the end of the range in reverse does. */
  async function outlook(probe: (call: FakeCluster['call']) => void = () => undefined) {
    const result = view.outlook(5n, 8n, signal);
    await pass();
    if (cluster.calls.length > 0) probe(cluster.call);
    await pass(500);
    return await result;
  }

  it('is more while the leader does not return its ends, or more will be committed', async () => {
    cluster.ends = undefined;
    expect(await outlook()).toBe('more');
    cluster.ends = { newestOffset: 8n, highWatermark: 5n, isr: ['a'] };
    expect(await outlook()).toBe('more');
    expect(cluster.calls).toEqual([]);
  });

  it('is uncommitted when nothing of the rest is committed', async () => {
    cluster.ends = { newestOffset: 8n, highWatermark: 4n, isr: ['a'] };
    expect(await outlook()).toEqual({ uncommitted: { newest: 8n, committed: 4n, inSync: 1 } });
  });

  it('is nothing when the newest message of the range was received before, and more otherwise', async () => {
    cluster.ends = { newestOffset: 8n, highWatermark: 8n, isr: ['a'] };
    expect(await outlook((call) => call.deliver(4))).toBe('nothing');
    expect(await outlook((call) => call.deliver(5))).toBe('more');
    expect(cluster.call.request).toMatchObject({ startOffset: 8n, reverse: true });
  });

  it.each<[string, (call: FakeCluster['call']) => void, string | null]>([
    ['the log ends there', (call) => call.end(refusal(2, 'EOF')), 'nothing'],
    ['the stop offset is reached', (call) => call.end(refusal(8, 'Stop offset reached')), 'nothing'],
    ['the broker is silent', () => undefined, null],
    ['the connection breaks', (call) => call.end(LOST), null],
    ['the broker refuses', (call) => call.end(refusal(13, 'a defect')), null],
  ])('without any message, when %s', async (_what, probe, expected) => {
    expect(await outlook(probe)).toBe(expected);
  });
});

describe('whether a server reads in reverse', () => {
  it.each<[string, (call: FakeCluster['call']) => void, boolean | null]>([
    ['descends', (call) => call.deliver(5, 4), true],
    ['ascends', (call) => call.deliver(5, 6), false],
    [
      'ends after one message',
      (call) => {
        call.deliver(5);
        call.end(refusal(2, 'EOF'));
      },
      true,
    ],
    ['is silent after one message', (call) => call.deliver(5), null],
    ['is silent', () => undefined, null],
  ])('is seen from a read that %s', async (_what, probe, expected) => {
    const result = view.knowsReverse(5n, signal);
    await pass();
    probe(cluster.call);
    await pass(500);
    expect(await result).toBe(expected);
    expect(cluster.call.request).toMatchObject({ startOffset: 5n, reverse: true });
  });
});
