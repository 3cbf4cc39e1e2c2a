import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../src/errors.js';
import type { PendingPublish } from '../../../src/publish/partition-queue.js';
import { PublishStream } from '../../../src/publish/publish-stream.js';
import { PublishStreams } from '../../../src/publish/publish-streams.js';
import { serverEnd, transportEnd } from '../../../src/transport/stream-end.js';
import { FakeCluster, publish, recorder, target } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const SETTINGS = { maxMessageBytes: 1_000_000, idPrefix: 'p' };
/** Lets promises settle. */
const settle = () => vi.advanceTimersByTimeAsync(0);

let cluster: FakeCluster;
let events: ReturnType<typeof recorder>;

beforeEach(() => {
  vi.useFakeTimers();
  // A monotonic clock does not start at zero.
  vi.advanceTimersByTime(10_000);
  // A backoff without jitter.
  vi.spyOn(Math, 'random').mockReturnValue(1);
  cluster = new FakeCluster();
  events = recorder();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function opened(): Promise<PublishStream<PendingPublish>> {
  const publishStream = new PublishStream<PendingPublish>(target('a'), cluster.asCluster, SETTINGS, events.listener);
  publishStream.open();
  await settle();
  return publishStream;
}

describe('a publish stream', () => {
  it('is usable once its stream is open, and reports that', async () => {
    const publishStream = new PublishStream<PendingPublish>(target('a'), cluster.asCluster, SETTINGS, events.listener);
    expect([publishStream.usable, publishStream.closed, publishStream.failingSince]).toEqual([false, true, null]);
    await vi.advanceTimersByTimeAsync(5);
    const now = performance.now();
    publishStream.open();
    publishStream.open();
    expect([publishStream.closed, publishStream.failingSince]).toEqual([false, now]);
    await settle();
    expect(events.told).toEqual(['settled a']);
    expect([publishStream.usable, publishStream.closed, publishStream.failingSince]).toEqual([true, false, null]);
    expect(cluster.sessions.get('a')!.streams).toHaveLength(1);
  });

  it('is not usable when the connection is full or stale', async () => {
    const publishStream = await opened();
    cluster.stream('a').writable = false;
    expect(publishStream.usable).toBe(false);
    cluster.stream('a').writable = true;
    cluster.sessions.get('a')!.stale = true;
    expect(publishStream.usable).toBe(false);
  });

  it('checks a stale connection once, and reports that the broker is alive', async () => {
    const publishStream = await opened();
    const session = cluster.sessions.get('a')!;
    publishStream.open();
    expect(session.checks).toHaveLength(0);
    session.stale = true;
    publishStream.open();
    publishStream.open();
    expect(session.checks).toHaveLength(1);
    session.checks[0]!.resolve();
    await settle();
    expect(events.told).toEqual(['settled a', 'settled a']);
    publishStream.open();
    expect(session.checks).toHaveLength(2);
  });

  it('checks the connection no more than twice a second when acks are overdue', async () => {
    const publishStream = await opened();
    const { checks } = cluster.sessions.get('a')!;
    publishStream.checkLiveness();
    await vi.advanceTimersByTimeAsync(499);
    publishStream.checkLiveness();
    expect(checks).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    publishStream.checkLiveness();
    expect(checks).toHaveLength(2);
    cluster.stream('a').end();
    await vi.advanceTimersByTimeAsync(1_000);
    publishStream.checkLiveness();
    expect(checks).toHaveLength(2);
  });

  it('is blocked for longer after each failure, up to a second', async () => {
    cluster.away.set('a', new Error('away'));
    const publishStream = new PublishStream<PendingPublish>(target('a'), cluster.asCluster, SETTINGS, events.listener);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 7; attempt++) {
      publishStream.open();
      await settle();
      pauses.push(publishStream.blockedUntil - performance.now());
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
    expect(publishStream.failingSince).toBe(performance.now());
    expect(publishStream.lastError).toMatchObject({ message: 'away' });
    expect(publishStream.refusal).toBeNull();
  });

  it('forgets its failures after a response, or when a stream was open for a second', async () => {
    const publishStream = await opened();
    const pauseAfter = async () => {
      cluster.stream('a').end();
      await settle();
      const pause = publishStream.blockedUntil - performance.now();
      publishStream.open();
      await settle();
      return pause;
    };
    expect(await pauseAfter()).toBe(50);
    expect(await pauseAfter()).toBe(100);
    cluster.stream('a').respond();
    expect(publishStream.failingSince).toBeNull();
    expect(await pauseAfter()).toBe(50);
    expect(await pauseAfter()).toBe(100);
    await vi.advanceTimersByTimeAsync(999);
    expect(await pauseAfter()).toBe(200);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await pauseAfter()).toBe(50);
  });

  it('keeps the refusal of a broker that refuses this client permanently until it connects', async () => {
    const refused = new ConnectionError('no certificate', { reason: 'tls-rejected', retryable: false });
    cluster.away.set('a', refused);
    const publishStream = await opened();
    expect(publishStream.refusal).toBe(refused);
    cluster.away.set('a', new ConnectionError('no answer', { reason: 'refused', retryable: false }));
    publishStream.open();
    await settle();
    expect(publishStream.refusal).toBeNull();
    cluster.away.set('a', refused);
    publishStream.open();
    await settle();
    cluster.away.clear();
    publishStream.open();
    await settle();
    expect(publishStream.refusal).toBeNull();
  });

  it('reports what was in flight when its stream ends, as processed once the broker has responded', async () => {
    const publishStream = await opened();
    const [first, second] = [publish(), publish()];
    publishStream.inFlight.add(second);
    publishStream.inFlight.add(first);
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told).toEqual(['settled a', 'ended a unprocessed']);
    expect(events.lost).toEqual([[first, second]]);
    expect(publishStream.inFlight.size).toBe(0);
    expect(publishStream.closed).toBe(true);
    publishStream.open();
    await settle();
    cluster.stream('a').respond();
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told.slice(2)).toEqual(['settled a', 'response a', 'ended a']);
    publishStream.open();
    await settle();
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told.at(-1)).toBe('ended a unprocessed');
  });

  it('reports publishes without acks once the connection has taken them, each once', async () => {
    const publishStream = await opened();
    const [first, second] = [publish(), publish()];
    publishStream.writeUnacknowledged(first);
    await settle();
    publishStream.writeUnacknowledged(second);
    await settle();
    expect(events.written).toEqual([[first], [second]]);
  });

  it('reports publishes without acks as lost when the stream breaks, and as written when it ends with OK', async () => {
    const publishStream = await opened();
    const [first, second] = [publish(), publish()];
    vi.spyOn(cluster.stream('a'), 'drained').mockReturnValue(new Promise(() => undefined));
    publishStream.inFlight.add(first);
    publishStream.writeUnacknowledged(second);
    cluster.stream('a').end();
    await settle();
    expect(events.lost).toEqual([[first, second]]);
    expect(events.written).toEqual([]);
    publishStream.open();
    await settle();
    vi.spyOn(cluster.stream('a'), 'drained').mockReturnValue(new Promise(() => undefined));
    publishStream.writeUnacknowledged(second);
    cluster.stream('a').end(serverEnd({ trailers: { 'grpc-status': '0' } }));
    await settle();
    expect(events.lost).toEqual([[first, second], []]);
    expect(events.written).toEqual([[second]]);
  });

  it('accepts nothing new once it is retired, and does not block the next publish stream', async () => {
    const publishStream = await opened();
    publishStream.retire();
    expect([publishStream.usable, publishStream.retired, cluster.stream('a').halfClosed]).toEqual([false, true, true]);
    cluster.stream('a').end();
    await settle();
    expect(publishStream.blockedUntil).toBe(0);
    publishStream.open();
    await settle();
    expect(cluster.sessions.get('a')!.streams).toHaveLength(1);
  });

  it('opens no stream when it is retired while it connects', async () => {
    const publishStream = new PublishStream<PendingPublish>(target('a'), cluster.asCluster, SETTINGS, events.listener);
    publishStream.open();
    publishStream.retire();
    await settle();
    expect(cluster.sessions.get('a')!.streams).toHaveLength(0);
  });

  it('retires with its connection, and removes its listener when the stream has ended', async () => {
    const publishStream = await opened();
    const { listeners } = cluster.sessions.get('a')!;
    for (const close of listeners) close();
    expect(publishStream.retired).toBe(true);
    cluster.stream('a').end();
    await settle();
    expect(listeners.size).toBe(0);
  });
});

describe('the publish streams of a publisher', () => {
  const publishStreamsOf = () => new PublishStreams(cluster.asCluster, SETTINGS, events.listener);

  async function openTo(publishStreams: PublishStreams, id: string): Promise<PublishStream<PendingPublish>> {
    const publishStream = publishStreams.to(target(id));
    publishStream.open();
    await settle();
    return publishStream;
  }

  it('are one for each broker, and a new one once that is retired', async () => {
    const publishStreams = publishStreamsOf();
    const publishStream = await openTo(publishStreams, 'a');
    expect(publishStreams.to(target('a'))).toBe(publishStream);
    expect(publishStreams.to(target('b'))).not.toBe(publishStream);
    publishStream.retire();
    const next = publishStreams.to(target('a'));
    expect(next).not.toBe(publishStream);
    expect(publishStreams.to(target('a'))).toBe(next);
  });

  it('include a usable one, except those to excluded brokers', async () => {
    const publishStreams = publishStreamsOf();
    publishStreams.to(target('a'));
    const b = await openTo(publishStreams, 'b');
    expect(publishStreams.anyUsable(new Set())).toBe(b);
    expect(publishStreams.anyUsable(new Set(['b:9292']))).toBeNull();
  });

  it('report when the first blocked one may be tried again', async () => {
    const publishStreams = publishStreamsOf();
    expect(publishStreams.blockedFor).toBeNull();
    cluster.away.set('a', new Error('away')).set('b', new Error('away'));
    await openTo(publishStreams, 'a');
    await openTo(publishStreams, 'a');
    await openTo(publishStreams, 'b');
    expect(publishStreams.blockedFor).toBe(50);
    await vi.advanceTimersByTimeAsync(50);
    expect(publishStreams.blockedFor).toBe(50);
    await vi.advanceTimersByTimeAsync(50);
    expect(publishStreams.blockedFor).toBeNull();
  });

  it('drop a retired publish stream whose stream has ended, and keep its successor', async () => {
    const publishStreams = publishStreamsOf();
    const first = await openTo(publishStreams, 'a');
    publishStreams.remove(first);
    expect(publishStreams.to(target('a'))).toBe(first);
    first.retire();
    const second = publishStreams.to(target('a'));
    publishStreams.remove(first);
    expect(publishStreams.to(target('a'))).toBe(second);
  });

  it('close gracefully, retired ones included, and leave no timer', async () => {
    const publishStreams = publishStreamsOf();
    const old = await openTo(publishStreams, 'a');
    const oldStream = cluster.stream('a');
    old.retire();
    await openTo(publishStreams, 'a');
    let closed = false;
    const closing = publishStreams.close(performance.now() + 60_000).then(() => {
      closed = true;
    });
    const stream = cluster.stream('a');
    expect(stream.halfClosed).toBe(true);
    stream.end();
    await settle();
    expect(closed).toBe(false);
    oldStream.end();
    await closing;
    expect([stream.cancelled, oldStream.cancelled]).toEqual([false, false]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['after half a second at most', 60_000, 500],
    ['at the deadline', 200, 200],
    ['at once when the deadline has passed', -1_000, 1],
  ])('are cancelled when brokers do not end them: %s', async (_when, patience, cut) => {
    const publishStreams = publishStreamsOf();
    await openTo(publishStreams, 'a');
    await openTo(publishStreams, 'b');
    const closing = publishStreams.close(performance.now() + patience);
    await vi.advanceTimersByTimeAsync(cut - 1);
    const isCut = () => ['a', 'b'].map((id) => cluster.stream(id).cancelled);
    expect(isCut()).toEqual(cut === 1 ? [true, true] : [false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(isCut()).toEqual([true, true]);
    await closing;
  });
});
