import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConnectionError } from '../../../src/errors.js';
import { PartitionLane } from '../../../src/publish/lanes.js';
import { Route } from '../../../src/publish/route.js';
import { LEADER_GRACE_MS, RouteChoice } from '../../../src/publish/route-choice.js';
import { Routes } from '../../../src/publish/routes.js';
import { FakeCluster, noting, publish, target } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let routes: Routes;
let choice: RouteChoice;
let lane: PartitionLane;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  routes = new Routes(cluster.asCluster, { maxMessageBytes: 1_000_000, idPrefix: 'p' }, noting());
  choice = new RouteChoice(cluster.asCluster, routes);
  lane = new PartitionLane('orders', 0);
});
afterEach(() => {
  vi.useRealTimers();
});

const settle = () => vi.advanceTimersByTimeAsync(0);

async function open(id: string): Promise<Route> {
  const route = routes.to(target(id));
  route.open();
  await settle();
  return route;
}

/** The broker that is chosen; null while there is none. */
function chosen(): string | null {
  const route = choice.of(lane);
  return route instanceof Route ? route.target.id : null;
}

describe('the broker that publishes to a partition go to', () => {
  it('is the leader; while its stream opens, the lane waits', async () => {
    expect(chosen()).toBeNull();
    expect([...routes.to(target('a')).waiting]).toEqual([lane]);
    await settle();
    lane.detour = true;
    expect(chosen()).toBe('a');
    expect(lane.detour).toBe(false);
  });

  it('stays the one where acks come until the stream to the new leader is open', async () => {
    lane.route = await open('b');
    expect(chosen()).toBe('b');
    expect(lane.detour).toBe(true);
    lane.beginTrouble();
    expect(chosen()).toBeNull();
  });

  it('is another one once the leader was out of reach for the grace', async () => {
    cluster.away.set('a', new Error('away'));
    await open('b');
    expect(chosen()).toBeNull();
    await vi.advanceTimersByTimeAsync(LEADER_GRACE_MS - 1);
    expect(chosen()).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    expect(chosen()).toBe('b');
    expect(lane.detour).toBe(true);
  });

  it('is any other while no leader is known, the one that served the partition first', async () => {
    cluster.leaderId = null;
    expect(chosen()).toBeNull();
    await settle();
    expect(chosen()).toBe('a');
    lane.route = await open('c');
    expect(chosen()).toBe('c');
    cluster.stream('c').writable = false;
    expect(chosen()).toBe('a');
  });

  it('is not one that has refused, the leader included', async () => {
    await open('a');
    await open('b');
    lane.route = await open('c');
    const { refusedBy } = lane.beginTrouble();
    refusedBy.add('a:9292');
    expect(chosen()).toBe('c');
    refusedBy.add('c:9292');
    expect(chosen()).toBe('b');
  });

  it('is the leader again when all have refused', async () => {
    for (const id of cluster.ids) await open(id);
    const { refusedBy } = lane.beginTrouble();
    for (const id of cluster.ids) refusedBy.add(`${id}:9292`);
    expect(chosen()).toBeNull();
    expect(refusedBy.size).toBe(0);
    expect(chosen()).toBe('a');
  });

  it('is looked for among those that are not blocked, and opened', async () => {
    cluster.leaderId = null;
    cluster.away.set('a', new Error('away'));
    await open('a');
    expect(chosen()).toBeNull();
    await settle();
    expect(chosen()).toBe('b');
    expect(cluster.sessions.get('c')).toBeUndefined();
  });

  it('is any that is usable while the others are blocked', async () => {
    cluster.leaderId = null;
    const d = await open('d');
    for (const id of cluster.ids) cluster.away.set(id, new Error('away'));
    for (const id of cluster.ids) await open(id);
    expect(choice.of(lane)).toBe(d);
  });

  it('is none, and the first publish tells why, while no broker is known', () => {
    cluster.leaderId = null;
    cluster.ids = [];
    const first = publish();
    lane.waiting.push(first);
    expect(chosen()).toBeNull();
    expect(first.lastError).toMatchObject({ message: 'no broker is known' });
    lane.waiting.clear();
    expect(chosen()).toBeNull();
  });

  it('is none when the leader refuses this client for good: it is asked again after its pause', async () => {
    const refused = new ConnectionError('no certificate', { reason: 'tls-rejected', retryable: false });
    cluster.away.set('a', refused);
    await open('b');
    expect(chosen()).toBeNull();
    await settle();
    const session = vi.spyOn(cluster, 'session');
    expect(choice.of(lane)).toBe(refused);
    expect(session).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(60);
    expect(choice.of(lane)).toBe(refused);
    expect(session).toHaveBeenCalledTimes(1);
  });

  it('is not opened while it is blocked', async () => {
    cluster.away.set('a', new Error('away'));
    await open('a');
    const session = vi.spyOn(cluster, 'session');
    expect(chosen()).toBeNull();
    expect(session).not.toHaveBeenCalled();
    expect(routes.to(target('a')).waiting.size).toBe(0);
    await vi.advanceTimersByTimeAsync(60);
    expect(chosen()).toBeNull();
    expect(session).toHaveBeenCalledTimes(1);
  });
});
