import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../src/errors.js';
import { Route } from '../../../src/publish/route.js';
import { Routes } from '../../../src/publish/routes.js';
import { serverEnd, transportEnd } from '../../../src/transport/stream-end.js';
import { FakeCluster, noting, publish, target } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const SETTINGS = { maxMessageBytes: 1_000_000, idPrefix: 'p' };
/** Lets promises settle. */
const settle = () => vi.advanceTimersByTimeAsync(0);

let cluster: FakeCluster;
let events: ReturnType<typeof noting>;

beforeEach(() => {
  vi.useFakeTimers();
  // No clock begins at zero.
  vi.advanceTimersByTime(10_000);
  // A backoff without jitter.
  vi.spyOn(Math, 'random').mockReturnValue(1);
  cluster = new FakeCluster();
  events = noting();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function opened(): Promise<Route> {
  const route = new Route(target('a'), cluster.asCluster, SETTINGS, events);
  route.open();
  await settle();
  return route;
}

describe('a route', () => {
  it('is usable once its stream is open, and tells so', async () => {
    const route = new Route(target('a'), cluster.asCluster, SETTINGS, events);
    expect([route.usable, route.closed, route.failingSince]).toEqual([false, true, null]);
    await vi.advanceTimersByTimeAsync(5);
    const now = performance.now();
    route.open();
    route.open();
    expect([route.closed, route.failingSince]).toEqual([false, now]);
    await settle();
    expect(events.told).toEqual(['settled a']);
    expect([route.usable, route.closed, route.failingSince]).toEqual([true, false, null]);
    expect(cluster.sessions.get('a')!.streams).toHaveLength(1);
  });

  it('is not usable when the connection does not take anything, or was silent for long', async () => {
    const route = await opened();
    cluster.stream('a').writable = false;
    expect(route.usable).toBe(false);
    cluster.stream('a').writable = true;
    cluster.sessions.get('a')!.stale = true;
    expect(route.usable).toBe(false);
  });

  it('asks a connection that was silent for long once whether the broker is there, and tells when it is', async () => {
    const route = await opened();
    const session = cluster.sessions.get('a')!;
    route.open();
    expect(session.checks).toHaveLength(0);
    session.stale = true;
    route.open();
    route.open();
    expect(session.checks).toHaveLength(1);
    session.checks[0]!.resolve();
    await settle();
    expect(events.told).toEqual(['settled a', 'settled a']);
    route.open();
    expect(session.checks).toHaveLength(2);
  });

  it('checks the connection no more than twice a second when acks are overdue', async () => {
    const route = await opened();
    const { checks } = cluster.sessions.get('a')!;
    route.checkLiveness();
    await vi.advanceTimersByTimeAsync(499);
    route.checkLiveness();
    expect(checks).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    route.checkLiveness();
    expect(checks).toHaveLength(2);
    cluster.stream('a').end();
    await vi.advanceTimersByTimeAsync(1_000);
    route.checkLiveness();
    expect(checks).toHaveLength(2);
  });

  it('is blocked for longer after each failure, a second at most', async () => {
    cluster.away.set('a', new Error('away'));
    const route = new Route(target('a'), cluster.asCluster, SETTINGS, events);
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 7; attempt++) {
      route.open();
      await settle();
      pauses.push(route.blockedUntil - performance.now());
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
    expect(route.failingSince).toBe(performance.now());
    expect(route.lastError).toMatchObject({ message: 'away' });
    expect(route.refusal).toBeNull();
  });

  it('does not count failures before a stream that was answered on, or was open for a second', async () => {
    const route = await opened();
    const pauseAfter = async () => {
      cluster.stream('a').end();
      await settle();
      const pause = route.blockedUntil - performance.now();
      route.open();
      await settle();
      return pause;
    };
    expect(await pauseAfter()).toBe(50);
    expect(await pauseAfter()).toBe(100);
    cluster.stream('a').answer();
    expect(route.failingSince).toBeNull();
    expect(await pauseAfter()).toBe(50);
    expect(await pauseAfter()).toBe(100);
    await vi.advanceTimersByTimeAsync(999);
    expect(await pauseAfter()).toBe(200);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await pauseAfter()).toBe(50);
  });

  it('keeps the refusal of a broker that refuses this client for good, until a connection was made', async () => {
    const refused = new ConnectionError('no certificate', { reason: 'tls-rejected', retryable: false });
    cluster.away.set('a', refused);
    const route = await opened();
    expect(route.refusal).toBe(refused);
    cluster.away.set('a', new ConnectionError('no answer', { reason: 'refused', retryable: false }));
    route.open();
    await settle();
    expect(route.refusal).toBeNull();
    cluster.away.set('a', refused);
    route.open();
    await settle();
    cluster.away.clear();
    route.open();
    await settle();
    expect(route.refusal).toBeNull();
  });

  it('tells what was in flight when its stream ends, and that it was handled once the broker had answered', async () => {
    const route = await opened();
    const [first, second] = [publish(), publish()];
    route.inFlight.add(second);
    route.inFlight.add(first);
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told).toEqual(['settled a', 'ended a unprocessed']);
    expect(events.lost).toEqual([[first, second]]);
    expect(route.inFlight.size).toBe(0);
    expect(route.closed).toBe(true);
    route.open();
    await settle();
    cluster.stream('a').answer();
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told.slice(2)).toEqual(['settled a', 'response a', 'ended a']);
    route.open();
    await settle();
    cluster.stream('a').end(transportEnd(14, 'refused', false));
    await settle();
    expect(events.told.at(-1)).toBe('ended a unprocessed');
  });

  it('tells of publishes without acks once the connection has taken them, each once', async () => {
    const route = await opened();
    const [first, second] = [publish(), publish()];
    route.writeUnacknowledged(first);
    await settle();
    route.writeUnacknowledged(second);
    await settle();
    expect(events.written_).toEqual([[first], [second]]);
  });

  it('counts publishes without acks as lost with a stream that breaks, and as taken by one that ends well', async () => {
    const route = await opened();
    const [first, second] = [publish(), publish()];
    vi.spyOn(cluster.stream('a'), 'drained').mockReturnValue(new Promise(() => undefined));
    route.inFlight.add(first);
    route.writeUnacknowledged(second);
    cluster.stream('a').end();
    await settle();
    expect(events.lost).toEqual([[first, second]]);
    expect(events.written_).toEqual([]);
    route.open();
    await settle();
    vi.spyOn(cluster.stream('a'), 'drained').mockReturnValue(new Promise(() => undefined));
    route.writeUnacknowledged(second);
    cluster.stream('a').end(serverEnd({ trailers: { 'grpc-status': '0' } }));
    await settle();
    expect(events.lost).toEqual([[first, second], []]);
    expect(events.written_).toEqual([[second]]);
  });

  it('takes nothing new once it is retired, and does not block the next route', async () => {
    const route = await opened();
    route.retire();
    expect([route.usable, route.retired, cluster.stream('a').halfClosed]).toEqual([false, true, true]);
    cluster.stream('a').end();
    await settle();
    expect(route.blockedUntil).toBe(0);
    route.open();
    await settle();
    expect(cluster.sessions.get('a')!.streams).toHaveLength(1);
  });

  it('opens no stream when it is retired while it connects', async () => {
    const route = new Route(target('a'), cluster.asCluster, SETTINGS, events);
    route.open();
    route.retire();
    await settle();
    expect(cluster.sessions.get('a')!.streams).toHaveLength(0);
  });

  it('retires with the connection, and stops listening to it when the stream has ended', async () => {
    const route = await opened();
    const { listeners } = cluster.sessions.get('a')!;
    for (const close of listeners) close();
    expect(route.retired).toBe(true);
    cluster.stream('a').end();
    await settle();
    expect(listeners.size).toBe(0);
  });
});

describe('the routes of a publisher', () => {
  const routesOf = () => new Routes(cluster.asCluster, SETTINGS, events);

  async function openTo(routes: Routes, id: string): Promise<Route> {
    const route = routes.to(target(id));
    route.open();
    await settle();
    return route;
  }

  it('are one to each broker, and another one once it is retired', async () => {
    const routes = routesOf();
    const route = await openTo(routes, 'a');
    expect(routes.to(target('a'))).toBe(route);
    expect(routes.to(target('b'))).not.toBe(route);
    route.retire();
    const next = routes.to(target('a'));
    expect(next).not.toBe(route);
    expect(routes.to(target('a'))).toBe(next);
  });

  it('give any that can be written to, except those to some brokers', async () => {
    const routes = routesOf();
    routes.to(target('a'));
    const b = await openTo(routes, 'b');
    expect(routes.anyUsable(new Set())).toBe(b);
    expect(routes.anyUsable(new Set(['b:9292']))).toBeNull();
  });

  it('tell when the first that is blocked may be tried again', async () => {
    const routes = routesOf();
    expect(routes.blockedFor).toBeNull();
    cluster.away.set('a', new Error('away')).set('b', new Error('away'));
    await openTo(routes, 'a');
    await openTo(routes, 'a');
    await openTo(routes, 'b');
    expect(routes.blockedFor).toBe(50);
    await vi.advanceTimersByTimeAsync(50);
    expect(routes.blockedFor).toBe(50);
    await vi.advanceTimersByTimeAsync(50);
    expect(routes.blockedFor).toBeNull();
  });

  it('forget a retired route whose stream has ended, and keep one that was retried', async () => {
    const routes = routesOf();
    const first = await openTo(routes, 'a');
    routes.ended(first);
    expect(routes.to(target('a'))).toBe(first);
    first.retire();
    const second = routes.to(target('a'));
    routes.ended(first);
    expect(routes.to(target('a'))).toBe(second);
  });

  it('end in good order, those that are retired already too, and leave no timer', async () => {
    const routes = routesOf();
    const old = await openTo(routes, 'a');
    const oldStream = cluster.stream('a');
    old.retire();
    await openTo(routes, 'a');
    let closed = false;
    const closing = routes.close(performance.now() + 60_000).then(() => {
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
    ['at once when it is over', -1_000, 1],
  ])('are cut off when brokers do not end them: %s', async (_when, patience, cut) => {
    const routes = routesOf();
    await openTo(routes, 'a');
    await openTo(routes, 'b');
    const closing = routes.close(performance.now() + patience);
    await vi.advanceTimersByTimeAsync(cut - 1);
    const isCut = () => ['a', 'b'].map((id) => cluster.stream(id).cancelled);
    expect(isCut()).toEqual(cut === 1 ? [true, true] : [false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(isCut()).toEqual([true, true]);
    await closing;
  });
});
