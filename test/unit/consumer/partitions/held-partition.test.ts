import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { PermissionDeniedError } from '../../../../src/errors.js';
import { StartPosition } from '../../../../src/protocol/generated/api.js';
import { FakeCluster, LOST, refusal } from '../../subscribe/fakes.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/clock.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/backoff.js', () => import('../../../support/steady-backoff.js'));

const READONLY = refusal(8, 'End of readonly partition');
const FENCED = refusal(9, 'Consumer is not currently assigned this partition');
/** More than any buffer takes. */
const MANY = Array.from({ length: 200 }, (_, offset) => offset);

let cluster: FakeCluster;
let log: string[];
let limit: number;
let held: HeldPartition;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  log = [];
  limit = 1_000;
  const context = { cluster, requestTimeout: 1_000, resubscribeTimeout: 2_000 } as unknown as ConsumerContext;
  const member = { groupId: 'g', consumerId: 'c', groupEpoch: 4n };
  held = new HeldPartition(context, 'orders', 0, member, 2, () => limit, {
    ready: () => void log.push('ready'),
    lost: () => void log.push('lost'),
    gone: (_held, error) => void log.push(`gone ${(error as { code?: string }).code}`),
    failed: (_held, error) => void log.push(`failed ${(error as { code?: string }).code}`),
    stuck: (_held, error) => void log.push(`stuck ${(error as { code?: string }).code}`),
  });
});
afterEach(() => {
  held.stop();
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const retries = () => cluster.emitted.filter(([name]) => name === 'retry').map(([, { delay }]) => delay);

/** Opened at an offset, and active from there. */
async function active(offset = 0n): Promise<void> {
  await held.open({ at: 'offset', offset }, false);
  held.activate(offset);
}

describe('a held partition', () => {
  it('reads as a member of the group, and resumes the partition where that is asked for', async () => {
    await held.open({ at: 'earliest' }, true);
    const consumer = { groupId: 'g', consumerId: 'c', groupEpoch: 4n };
    expect(cluster.call.request).toMatchObject({ startPosition: StartPosition.OFFSET, resume: true, consumer });
    held.epoch = 5n;
    await held.open({ at: 'offset', offset: 3n }, false);
    expect(cluster.calls[0]!.cancelled).not.toBeNull();
    expect(cluster.call.request).toMatchObject({ startOffset: 3n, resume: false, consumer: { groupEpoch: 5n } });
    expect([held.epoch, held.term]).toEqual([5n, 2]);
  });

  it('delivers nothing before it is active, and then only messages from its position on', async () => {
    await held.open({ at: 'offset', offset: 0n }, false);
    cluster.call.deliver(0, 1, 2);
    expect([held.begin(), held.isReady, held.position, held.begins, log]).toEqual([null, false, null, 0n, []]);
    held.activate(2n);
    expect([held.position, held.stored, held.unstored, held.isReady, log]).toEqual([2n, 1n, null, true, ['ready']]);
    expect(held.begin()?.offset).toBe(2n);
  });

  it('is not ready without a message, and tells when the next one comes', async () => {
    await active();
    expect([held.isReady, held.begins, log]).toEqual([false, 0n, []]);
    cluster.call.deliver(0);
    expect([held.isReady, held.begins, log]).toEqual([true, 0n, ['ready']]);
  });

  it('has one message at a time processed, in order', async () => {
    await active();
    cluster.call.deliver(0, 1);
    const first = held.begin()!;
    expect([held.begin(), held.isReady]).toEqual([null, false]);
    held.finish(first);
    expect([held.position, held.unstored, held.isReady]).toEqual([1n, 0n, true]);
    held.markStored(0n);
    expect([held.unstored, held.stored]).toEqual([null, 0n]);
    const second = held.begin()!;
    held.finish(first);
    expect(held.position).toBe(1n);
    held.abandon(first);
    expect(held.begin()).toBeNull();
    held.abandon(second);
    expect([held.position, held.isReady]).toEqual([1n, false]);
  });

  it('drops what comes again behind its position', async () => {
    await active(3n);
    cluster.call.deliver(1, 2, 3, 4);
    expect(held.begin()?.offset).toBe(3n);
  });

  it('is idle when no message is being processed', async () => {
    await active();
    await held.idle();
    cluster.call.deliver(0);
    const message = held.begin()!;
    const idle = vi.fn();
    void held.idle().then(idle);
    await pass();
    expect(idle).not.toHaveBeenCalled();
    held.finish(message);
    await pass();
    expect(idle).toHaveBeenCalledTimes(1);
  });

  it('has the broker stop at its limit, and continue when most is processed', async () => {
    await active();
    expect(held.isStalled).toBe(false);
    cluster.call.deliver(...MANY);
    expect([held.isStalled, cluster.call.paused]).toEqual([true, true]);
    for (let message = held.begin(); message !== null; message = held.begin()) held.finish(message);
    expect([held.isStalled, cluster.call.paused, held.position]).toEqual([false, false, 200n]);
  });

  it('ends reading when it is stopped', async () => {
    await active();
    cluster.call.deliver(0, 1);
    held.stop();
    expect([held.signal.aborted, held.tooLate.aborted, held.begin(), held.isReady]).toEqual([true, false, null, false]);
    expect(cluster.call.cancelled).not.toBeNull();
    held.expire();
    expect(held.tooLate.aborted).toBe(true);
    cluster.call.end(LOST);
    await pass(5_000);
    expect([log, cluster.calls.length]).toEqual([['ready'], 1]);
  });

  it('has nothing to follow before it is opened', () => {
    held.metadataChanged();
    expect(cluster.calls).toEqual([]);
  });

  it('follows its leader when the metadata has changed', async () => {
    await active();
    cluster.leaderId = 'b';
    held.metadataChanged();
    await pass();
    expect(cluster.call.broker).toBe('b');
  });
});

describe('a held partition whose reader ends', () => {
  it('is lost when the broker has given it to another member', async () => {
    await active();
    cluster.call.end(refusal(0, ''));
    await pass();
    expect([log, held.lost]).toEqual([['lost'], true]);
  });

  it('reads again after a second where a readonly partition has ended', async () => {
    await active();
    cluster.call.deliver(0);
    cluster.call.end(READONLY);
    await pass(999);
    expect(cluster.calls).toHaveLength(1);
    await pass(1);
    expect(cluster.calls).toHaveLength(2);
    expect(cluster.call.request).toMatchObject({ startOffset: 1n, resume: false });
    expect(cluster.emitted).toEqual([]);
  });

  it('reads again and again where the partition is readonly at once', async () => {
    cluster.answers = [(call) => call.end(READONLY)];
    await active();
    await pass(3_000);
    expect([log, cluster.calls.length]).toEqual([[], 4]);
    cluster.answers = [(call) => call.confirm()];
    await pass(5_000);
    expect(cluster.calls).toHaveLength(5);
  });

  it('keeps what has arrived, with the new reader paused while the buffer is full', async () => {
    await active();
    cluster.call.deliver(...MANY);
    cluster.call.end(READONLY);
    await pass(1_000);
    expect([cluster.calls.length, cluster.call.paused, held.begin()?.offset]).toEqual([2, true, 0n]);
  });

  it('reports a connection that could not be repaired, and tries further with backoff', async () => {
    await active();
    cluster.answers = [(call) => call.end(LOST)];
    cluster.call.end(LOST);
    await pass(2_500);
    expect(log[0]).toBe('stuck CONNECTION');
    expect(held.trouble.error).toMatchObject({ code: 'CONNECTION' });
    cluster.answers = [(call) => call.confirm()];
    await pass(5_000);
    expect(held.trouble.error).toBeNull();
    expect(held.begins).toBe(0n);
    cluster.call.deliver(0);
    expect(held.begin()?.offset).toBe(0n);
  });

  it('is failed when no attempt can help, and not read again', async () => {
    await active();
    cluster.call.end(refusal(7, 'denied'));
    await pass(5_000);
    expect([log, cluster.calls.length]).toEqual([['failed PERMISSION_DENIED'], 1]);
  });

  it('is lost when a broker refuses it because a later epoch reads it', async () => {
    await active();
    cluster.answers = [(call) => call.end(FENCED)];
    cluster.call.end(refusal(13, 'a defect'));
    await pass(100);
    expect([log, held.lost, cluster.calls.length]).toEqual([['lost'], true, 2]);
  });

  it('tells that its stream seems to be gone, and tries further', async () => {
    await active();
    cluster.existing = 'gone';
    cluster.call.end(refusal(5, 'Stream deleted'));
    await pass();
    expect(log).toEqual(['gone STREAM_DELETED']);
    cluster.existing = 'present';
    await pass(50);
    expect([cluster.calls.length, retries()]).toEqual([2, [50]]);
  });

  it('doubles the delay between attempts, up to two seconds', async () => {
    await active();
    cluster.answers = [(call) => call.end(refusal(13, 'a defect'))];
    cluster.call.end(refusal(13, 'a defect'));
    await pass(12_000);
    expect(retries().slice(0, 8)).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  });

  it('leaves reading to a later call of open', async () => {
    await active();
    cluster.call.end(READONLY);
    await pass(500);
    await held.open({ at: 'offset', offset: 7n }, false);
    await pass(2_000);
    expect(cluster.calls).toHaveLength(2);
    expect(cluster.call.request.startOffset).toBe(7n);
  });

  it('makes no further attempt, and reports nothing, when it is stopped during one', async () => {
    await active();
    cluster.answers = [() => undefined];
    cluster.call.end(refusal(13, 'a defect'));
    await pass(50);
    expect([cluster.calls.length, retries()]).toEqual([2, [50]]);
    held.stop();
    await pass(5_000);
    expect([cluster.calls.length, retries(), log]).toEqual([2, [50], []]);
  });

  it('leaves a failure to open to its caller', async () => {
    cluster.answers = [(call) => call.end(refusal(7, 'denied'))];
    await expect(held.open({ at: 'offset', offset: 0n }, false)).rejects.toBeInstanceOf(PermissionDeniedError);
    await pass(5_000);
    expect([log, cluster.calls.length]).toEqual([[], 1]);
  });

  it('hears nothing of an earlier reader', async () => {
    await active();
    const [first] = cluster.calls;
    await held.open({ at: 'offset', offset: 0n }, false);
    first!.deliver(0);
    first!.end(refusal(0, ''));
    await pass(2_000);
    expect([log, held.isReady, cluster.calls.length]).toEqual([[], false, 2]);
  });
});
