import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../src/errors.js';
import { BrokerChoice } from '../../../src/publish/broker-choice.js';
import type { PendingPublish } from '../../../src/publish/partition-queue.js';
import { PartitionQueue } from '../../../src/publish/partition-queue.js';
import { PublishStream } from '../../../src/publish/publish-stream.js';
import { PublishStreams } from '../../../src/publish/publish-streams.js';
import { LEADER_GRACE_MS } from '../../../src/publish/timing.js';
import { FakeCluster, publish, recorder, target } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let publishStreams: PublishStreams;
let choice: BrokerChoice;
let queue: PartitionQueue;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  publishStreams = new PublishStreams(
    cluster.asCluster,
    { maxMessageBytes: 1_000_000, idPrefix: 'p' },
    recorder().listener,
  );
  choice = new BrokerChoice(cluster.asCluster, publishStreams);
  queue = new PartitionQueue('orders', 0);
});
afterEach(() => {
  vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

async function open(id: string): Promise<PublishStream<PendingPublish>> {
  const publishStream = publishStreams.to(target(id));
  publishStream.open();
  await settle();
  return publishStream;
}

/** The broker that is chosen; null while there is none. */
function chosen(): string | null {
  const publishStream = choice.choose(queue);
  return publishStream instanceof PublishStream ? publishStream.target.id : null;
}

describe('the broker that is chosen for publishes to a partition', () => {
  it('is the leader; while its stream opens, the queue waits', async () => {
    expect(chosen()).toBeNull();
    expect(choice.takeWaiting(publishStreams.to(target('a')))).toEqual([queue]);
    await settle();
    queue.detour = true;
    expect(chosen()).toBe('a');
    expect(queue.detour).toBe(false);
  });

  it('stays the one that sends acks until the stream to the new leader is open', async () => {
    queue.publishStream = await open('b');
    expect(chosen()).toBe('b');
    expect(queue.detour).toBe(true);
    queue.beginTrouble();
    expect(chosen()).toBeNull();
  });

  it('is another one once the leader has been unreachable for the grace period', async () => {
    cluster.away.set('a', new Error('away'));
    await open('b');
    expect(chosen()).toBeNull();
    await vi.advanceTimersByTimeAsync(LEADER_GRACE_MS - 1);
    expect(chosen()).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(chosen()).toBe('b');
    expect(queue.detour).toBe(true);
  });

  it('is another one while no leader is known, preferably the one that served the partition', async () => {
    cluster.leaderId = null;
    expect(chosen()).toBeNull();
    await settle();
    expect(chosen()).toBe('a');
    queue.publishStream = await open('c');
    expect(chosen()).toBe('c');
    cluster.stream('c').writable = false;
    expect(chosen()).toBe('a');
  });

  it('is no broker that has refused, even if it is the leader', async () => {
    await open('a');
    await open('b');
    queue.publishStream = await open('c');
    const { refusedBy } = queue.beginTrouble();
    refusedBy.add('a:9292');
    expect(chosen()).toBe('c');
    refusedBy.add('c:9292');
    expect(chosen()).toBe('b');
  });

  it('is the leader again when all brokers have refused', async () => {
    for (const id of cluster.ids) await open(id);
    const { refusedBy } = queue.beginTrouble();
    for (const id of cluster.ids) refusedBy.add(`${id}:9292`);
    expect(chosen()).toBeNull();
    expect(refusedBy.size).toBe(0);
    expect(chosen()).toBe('a');
  });

  it('is one that is not blocked, and its stream is opened', async () => {
    cluster.leaderId = null;
    cluster.away.set('a', new Error('away'));
    await open('a');
    expect(chosen()).toBeNull();
    await settle();
    expect(chosen()).toBe('b');
    expect(cluster.sessions.get('c')).toBeUndefined();
  });

  it('is any usable one while the others are blocked', async () => {
    cluster.leaderId = null;
    const d = await open('d');
    for (const id of cluster.ids) cluster.away.set(id, new Error('away'));
    for (const id of cluster.ids) await open(id);
    expect(choice.choose(queue)).toBe(d);
  });

  it('is none while no broker is known, and the first publish keeps the error', () => {
    cluster.leaderId = null;
    cluster.ids = [];
    const first = publish();
    queue.waiting.push(first);
    expect(chosen()).toBeNull();
    expect(first.lastError).toMatchObject({ message: 'no broker is known' });
    queue.waiting.clear();
    expect(chosen()).toBeNull();
  });

  it('is another one that is opened while the unreachable leader is tried again', async () => {
    cluster.away.set('a', new Error('away'));
    expect(chosen()).toBeNull();
    await settle();
    await vi.advanceTimersByTimeAsync(LEADER_GRACE_MS);
    expect(publishStreams.to(target('a')).blockedUntil).toBeLessThan(performance.now());
    expect(chosen()).toBeNull();
    await settle();
    expect(publishStreams.to(target('b')).usable).toBe(true);
    expect(chosen()).toBe('b');
  });

  it('is the leader, whose stream is opened again at the very end of its pause', () => {
    const leader = publishStreams.to(target('a'));
    const openLeader = vi.spyOn(leader, 'open').mockReturnValue();
    leader.blockedUntil = performance.now() + 1;
    expect(chosen()).toBeNull();
    expect(openLeader).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(chosen()).toBeNull();
    expect(openLeader).toHaveBeenCalledOnce();
  });

  it('is another one, whose stream is opened again at the very end of its pause', () => {
    cluster.leaderId = null;
    const openA = vi.spyOn(publishStreams.to(target('a')), 'open').mockReturnValue();
    publishStreams.to(target('a')).blockedUntil = performance.now() + 1;
    publishStreams.to(target('b')).blockedUntil = performance.now() + 1;
    publishStreams.to(target('c')).blockedUntil = performance.now() + 1;
    expect(chosen()).toBeNull();
    expect(openA).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(chosen()).toBeNull();
    expect(openA).toHaveBeenCalledOnce();
  });

  it('is none when the leader refuses this client permanently, and the leader is tried again after its pause', async () => {
    const refused = new ConnectionError('no certificate', { reason: 'tls-rejected', retryable: false });
    cluster.away.set('a', refused);
    await open('b');
    expect(chosen()).toBeNull();
    await settle();
    const session = vi.spyOn(cluster, 'session');
    expect(choice.choose(queue)).toBe(refused);
    expect(session).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(60);
    expect(choice.choose(queue)).toBe(refused);
    expect(session).toHaveBeenCalledTimes(1);
  });

  it('is not opened while it is blocked', async () => {
    cluster.away.set('a', new Error('away'));
    await open('a');
    const session = vi.spyOn(cluster, 'session');
    expect(chosen()).toBeNull();
    expect(session).not.toHaveBeenCalled();
    expect(choice.takeWaiting(publishStreams.to(target('a')))).toEqual([]);
    await vi.advanceTimersByTimeAsync(60);
    expect(chosen()).toBeNull();
    expect(session).toHaveBeenCalledTimes(1);
  });
});
