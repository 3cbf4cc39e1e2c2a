import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Heartbeat, type HeartbeatEvents } from '../../../src/consumer/heartbeat.js';
import { Membership } from '../../../src/consumer/membership.js';
import { ConnectionError, errorFromStatus, PermissionDeniedError } from '../../../src/errors.js';
import { ConsumerGroupMetadata_Error } from '../../../src/protocol/generated/api.js';
import { deferred } from '../../support/deferred.js';
import { FakeCluster } from './fake-cluster.js';

const POLL = 'fetchConsumerGroupAssignments';
const refused = (text: string) => errorFromStatus('FetchConsumerGroupAssignments', { code: 9, details: text });
const running: Heartbeat[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((heartbeat) => heartbeat.stop()));
});

/** A coordinator `b1` with some epoch, that answers polls until the test says otherwise. */
async function member(coordinatorTimeout = 60_000) {
  const state = { epoch: 0n, coordinator: 'b1', failure: null as Error | null, polled: [] as bigint[] };
  const cluster = new FakeCluster(({ method, request, to }) => {
    const { epoch, coordinator } = state;
    const timeouts = { consumerTimeout: 60_000_000_000n, coordinatorTimeout: BigInt(coordinatorTimeout) * 1_000_000n };
    if (method === 'joinConsumerGroup') return { coordinator, epoch, ...timeouts };
    const known = { groupId: 'group', error: ConsumerGroupMetadata_Error.OK, coordinator, epoch };
    if (method !== POLL) return { groupMetadata: [known] };
    if (state.failure !== null) throw state.failure;
    if (to !== coordinator) throw refused('broker is not the consumer group coordinator');
    if (request.epoch !== epoch) throw refused('client-provided group epoch differs from broker group epoch');
    state.polled.push(epoch);
    return { epoch, assignments: [] };
  });
  const membership = new Membership(cluster.asCluster, 'group', 'me');
  await membership.join(['s'], { signal: new AbortController().signal, timeout: 1_000 });
  cluster.calls.length = 0;
  return { state, cluster, membership };
}

function start(membership: Membership, interval: number, events: Partial<HeartbeatEvents> = {}): Heartbeat {
  const silent = {
    assigned: () => undefined,
    isStalled: () => false,
    expired: async () => undefined,
    failed: () => undefined,
  };
  const heartbeat = new Heartbeat(
    membership,
    interval,
    1_000,
    { ...silent, ...events },
    new FakeCluster(() => ({})).logger,
  );
  running.push(heartbeat);
  heartbeat.start();
  return heartbeat;
}

describe('Heartbeat', () => {
  it('learns a new epoch from the coordinator and polls again at once', async () => {
    const { state, cluster, membership } = await member();
    state.epoch = 7n;
    const assigned = deferred<bigint>();
    start(membership, 60_000, { assigned: ({ epoch }) => assigned.resolve(epoch) });
    expect(await assigned.promise).toBe(7n);
    expect(cluster.calls.map(({ method, to }) => [method, to])).toEqual([
      [POLL, 'b1'],
      ['fetchMetadata', 'b1'],
      [POLL, 'b1'],
    ]);
  });

  it('asks any broker when the coordinator has changed', async () => {
    const { state, cluster, membership } = await member();
    state.coordinator = 'b2';
    state.epoch = 2n;
    const assigned = deferred<bigint>();
    start(membership, 60_000, { assigned: ({ epoch }) => assigned.resolve(epoch) });
    expect(await assigned.promise).toBe(2n);
    expect(cluster.calls.map(({ method, to }) => [method, to])).toEqual([
      [POLL, 'b1'],
      ['fetchMetadata', 'any'],
      [POLL, 'b2'],
    ]);
  });

  it('reports a coordinator only once it has been silent for its timeout', async () => {
    const { state, cluster, membership } = await member(150);
    state.failure = new ConnectionError('no answer', { reason: 'refused' });
    const began = performance.now();
    start(membership, 10);
    while (!cluster.methods.includes('reportConsumerGroupCoordinator')) await sleep(2);
    expect(performance.now() - began).toBeGreaterThan(140);
    const report = cluster.calls.find(({ method }) => method === 'reportConsumerGroupCoordinator')!;
    expect(report.request).toEqual({
      groupId: 'group',
      consumerId: 'me',
      coordinator: 'b1',
      epoch: 0n,
    });
  });

  it('never reports a coordinator that answers again in time', async () => {
    const { state, cluster, membership } = await member(500);
    state.failure = new ConnectionError('no answer', { reason: 'refused' });
    start(membership, 10);
    await sleep(50);
    state.failure = null;
    while (state.polled.length < 3) await sleep(2);
    expect(cluster.methods).not.toContain('reportConsumerGroupCoordinator');
  });

  it.each(['consumer is not a member of the consumer group', 'consumer group does not exist'])(
    'has the member join again after "%s"',
    async (text) => {
      const { state, membership } = await member();
      state.failure = refused(text);
      const assigned = deferred<bigint>();
      let expired = 0;
      start(membership, 60_000, {
        assigned: ({ epoch }) => assigned.resolve(epoch),
        expired: async () => {
          expired++;
          state.failure = null;
        },
      });
      expect(await assigned.promise).toBe(0n);
      expect(expired).toBe(1);
    },
  );

  it('ends with what would fail for ever', async () => {
    const { state, membership } = await member();
    state.failure = new PermissionDeniedError('no');
    const failed = deferred<unknown>();
    start(membership, 10, { failed: failed.resolve });
    expect(await failed.promise).toBe(state.failure);
  });

  it('polls at once when it is hurried, and not at all once it is stopped', async () => {
    const { state, membership } = await member();
    const heartbeat = start(membership, 60_000);
    while (state.polled.length < 1) await sleep(1);
    heartbeat.hurry();
    while (state.polled.length < 2) await sleep(1);
    await heartbeat.stop();
    heartbeat.hurry();
    await sleep(20);
    expect(state.polled).toHaveLength(2);
  });

  it('confirms with a poll that began later', async () => {
    const { state, membership } = await member();
    const heartbeat = start(membership, 60_000);
    while (state.polled.length < 1) await sleep(1);
    await heartbeat.confirmed();
    expect(state.polled).toHaveLength(2);
  });

  it('polls often while a broker was told to stop sending', async () => {
    const { state, membership } = await member();
    start(membership, 60_000, { isStalled: () => true });
    while (state.polled.length < 3) await sleep(5);
    expect(state.polled).toHaveLength(3);
  });

  it('stops at once while a coordinator does not answer', async () => {
    const { cluster, membership } = await member();
    cluster.answer = (_call, { signal }) =>
      new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    const heartbeat = start(membership, 10);
    await sleep(10);
    const began = performance.now();
    await heartbeat.stop();
    expect(performance.now() - began).toBeLessThan(100);
  });
});
