import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Heartbeat, type HeartbeatEvents } from '../../../../src/consumer/membership/heartbeat.js';
import { Membership } from '../../../../src/consumer/membership/membership.js';
import { ConnectionError, errorFromStatus, PermissionDeniedError } from '../../../../src/errors.js';
import { ConsumerGroupMetadata_Error } from '../../../../src/protocol/generated/api.js';
import { deferred } from '../../../support/deferred.js';
import { eventually } from '../../../support/eventually.js';
import { turns } from '../../../support/turns.js';
import { FakeCluster } from '../fake-cluster.js';

const clock = vi.hoisted(() => ({ ahead: 0 }));
vi.mock('../../../../src/async/clock.js', () => ({
  monotonicNow: () => performance.now() + clock.ahead,
  wallNow: () => performance.now() + clock.ahead,
}));
beforeEach(() => {
  clock.ahead = 0;
});

const POLL = 'fetchConsumerGroupAssignments';
const POLL_NAME = 'FetchConsumerGroupAssignments';
/** Milliseconds after which the coordinator has applied a join. */
const APPLIED = 1_000;
const refused = (text: string) => errorFromStatus('FetchConsumerGroupAssignments', { code: 9, details: text });
const running: Heartbeat[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((heartbeat) => heartbeat.stop()));
});

/** A coordinator `b1` with some epoch, that answers polls until the test says otherwise. */
async function member(coordinatorTimeout = 60_000) {
  const state = { epoch: 0n, coordinator: 'b1', failure: null as Error | null, asked: 0, polled: [] as bigint[] };
  const cluster = new FakeCluster(({ method, request, to }) => {
    const { epoch, coordinator } = state;
    const timeouts = { consumerTimeout: 60_000_000_000n, coordinatorTimeout: BigInt(coordinatorTimeout) * 1_000_000n };
    if (method === 'joinConsumerGroup') return { coordinator, epoch, ...timeouts };
    const known = { groupId: 'group', error: ConsumerGroupMetadata_Error.OK, coordinator, epoch };
    if (method !== POLL) return { groupMetadata: [known] };
    state.asked++;
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
  const silent: HeartbeatEvents = {
    assigned: () => true,
    isOwn: async () => true,
    replaced: () => undefined,
    current: () => undefined,
    isStalled: () => false,
    denied: async () => 'joined',
    failed: () => undefined,
  };
  const heartbeat = new Heartbeat(
    membership,
    interval,
    1_000,
    { ...silent, ...events },
    new FakeCluster(() => ({})).asCluster,
  );
  running.push(heartbeat);
  heartbeat.start();
  return heartbeat;
}

/** Lets polls succeed once some of them have failed. */
async function recoversAfter(state: { asked: number; failure: Error | null }, polls: number): Promise<void> {
  await eventually(`${polls} polls`, () => state.asked >= polls);
  state.failure = null;
}

/** Settles the promise with the epoch of the first answer. */
const told =
  ({ resolve }: { resolve: (epoch: bigint) => void }): HeartbeatEvents['assigned'] =>
  ({ epoch }) => {
    resolve(epoch);
    return true;
  };

describe('Heartbeat', () => {
  it('learns a new epoch from the coordinator and polls again at once', async () => {
    const { state, cluster, membership } = await member();
    state.epoch = 7n;
    const assigned = deferred<bigint>();
    start(membership, 60_000, { assigned: told(assigned) });
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
    start(membership, 60_000, { assigned: told(assigned) });
    expect(await assigned.promise).toBe(2n);
    expect(cluster.calls.map(({ method, to }) => [method, to])).toEqual([
      [POLL, 'b1'],
      ['fetchMetadata', 'any'],
      [POLL, 'b2'],
    ]);
  });

  it('reports a coordinator only once it has been silent for its timeout', async () => {
    const { state, cluster, membership } = await member(60_000);
    state.failure = new ConnectionError('no answer', { reason: 'refused' });
    start(membership, 10);
    await eventually('several polls', () => state.asked >= 5);
    expect(cluster.methods).not.toContain('reportConsumerGroupCoordinator');
    clock.ahead = 60_000;
    await eventually('a report', () => cluster.methods.includes('reportConsumerGroupCoordinator'));
    const report = cluster.calls.find(({ method }) => method === 'reportConsumerGroupCoordinator')!;
    expect(report.request).toEqual({
      groupId: 'group',
      consumerId: 'me',
      coordinator: 'b1',
      epoch: 0n,
    });
  });

  it('never reports a coordinator that answers again in time', async () => {
    const { state, cluster, membership } = await member();
    state.failure = new ConnectionError('no answer', { reason: 'refused' });
    const recovers = recoversAfter(state, 3);
    start(membership, 10);
    await recovers;
    await eventually('poll 3', () => state.polled.length >= 3);
    expect(cluster.methods).not.toContain('reportConsumerGroupCoordinator');
  });

  describe.each(['consumer is not a member of the consumer group', 'consumer group does not exist'])(
    'whose coordinator says "%s"',
    (text) => {
      it('polls again without joining while the coordinator may not have applied the join yet', async () => {
        const { state, membership } = await member();
        state.failure = refused(text);
        const assigned = deferred<bigint>();
        const denied = vi.fn<HeartbeatEvents['denied']>(async () => 'joined');
        const recovers = recoversAfter(state, 3);
        start(membership, 60_000, { assigned: told(assigned), denied });
        await recovers;
        expect(await assigned.promise).toBe(0n);
        expect(denied).not.toHaveBeenCalled();
      });

      it('has the member join again', async () => {
        const { state, membership } = await member();
        clock.ahead = APPLIED;
        state.failure = refused(text);
        const assigned = deferred<bigint>();
        const denied = vi.fn<HeartbeatEvents['denied']>(async () => {
          state.failure = null;
          return 'joined';
        });
        start(membership, 60_000, { assigned: told(assigned), denied });
        expect(await assigned.promise).toBe(0n);
        expect(denied.mock.calls).toEqual([[false]]);
      });

      it('continues polling where the cluster counts it as a member still', async () => {
        const { state, membership } = await member();
        clock.ahead = APPLIED;
        state.failure = refused(text);
        const assigned = deferred<bigint>();
        const failed = vi.fn();
        let asked = 0;
        const denied = async (): Promise<'member'> => {
          if (++asked === 3) state.failure = null;
          return 'member';
        };
        start(membership, 60_000, { assigned: told(assigned), denied, failed });
        expect(await assigned.promise).toBe(0n);
        expect(failed).not.toHaveBeenCalled();
      });

      it('has the member leave first when the coordinator insists against the rest of the cluster', async () => {
        const { state, membership } = await member();
        clock.ahead = APPLIED;
        state.failure = refused(text);
        const leaves = deferred<boolean>();
        const denied = async (leaveFirst: boolean): Promise<'joined' | 'member'> => {
          clock.ahead += 8_000;
          if (!leaveFirst) return 'member';
          leaves.resolve(true);
          return 'joined';
        };
        start(membership, 60_000, { denied });
        expect(await leaves.promise).toBe(true);
      });
    },
  );

  it('tells of the first answer after the coordinator was away, and leaves and joins again when it lacks a stream', async () => {
    const { state, membership } = await member();
    clock.ahead = APPLIED;
    state.failure = errorFromStatus(POLL_NAME, { code: 2, details: 'consumer not active for server (no timer)' });
    const answers: boolean[] = [];
    const second = deferred<bigint>();
    const denied = vi.fn<HeartbeatEvents['denied']>(async () => 'joined');
    const recovers = recoversAfter(state, 2);
    start(membership, 60_000, {
      assigned: (_answer, recovered) => {
        answers.push(recovered);
        if (answers.length === 2) second.resolve(0n);
        return answers.length > 1;
      },
      denied,
    });
    await recovers;
    await second.promise;
    expect(answers).toEqual([true, false]);
    expect(denied.mock.calls).toEqual([[true]]);
  });

  it('tells that the member is current when any broker says that the group has not changed', async () => {
    const { state, membership } = await member();
    clock.ahead = APPLIED;
    state.failure = new ConnectionError('no answer', { reason: 'refused' });
    const current = deferred<boolean>();
    start(membership, 60_000, { current: () => current.resolve(membership.isCurrent) });
    expect(await current.promise).toBe(true);
  });

  it.each([true, false])('asks after a silence whether the id is its own still: %s', async (own) => {
    const { membership } = await member();
    await membership.poll({});
    clock.ahead = 60_001;
    const outcome = deferred<string>();
    start(membership, 60_000, {
      isOwn: async () => own,
      replaced: () => outcome.resolve('replaced'),
      assigned: () => {
        outcome.resolve('assigned');
        return true;
      },
    });
    expect(await outcome.promise).toBe(own ? 'assigned' : 'replaced');
  });

  it('polls again while no broker can tell whether the id is its own still', async () => {
    const { state, membership } = await member();
    await membership.poll({});
    clock.ahead = 60_001;
    let asked = 0;
    const isOwn = async () => {
      if (++asked < 3) throw new ConnectionError('no answer', { reason: 'refused' });
      return true;
    };
    const assigned = deferred<bigint>();
    start(membership, 60_000, { isOwn, assigned: told(assigned) });
    expect(await assigned.promise).toBe(0n);
    expect(state.polled.length).toBeGreaterThanOrEqual(4);
  });

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
    await eventually('poll 1', () => state.polled.length >= 1);
    heartbeat.hurry();
    await eventually('poll 2', () => state.polled.length >= 2);
    await heartbeat.stop();
    heartbeat.hurry();
    await turns();
    expect(state.polled).toHaveLength(2);
  });

  it('confirms with a poll that began later', async () => {
    const { state, membership } = await member();
    const heartbeat = start(membership, 60_000);
    await eventually('poll 1', () => state.polled.length >= 1);
    await heartbeat.waitUntilConfirmed();
    expect(state.polled).toHaveLength(2);
  });

  it('polls often while a broker was told to stop sending', async () => {
    const { state, membership } = await member();
    start(membership, 60_000, { isStalled: () => true });
    await eventually('poll 3', () => state.polled.length >= 3);
  });

  it('stops at once while a coordinator does not answer', async () => {
    const { cluster, membership } = await member();
    cluster.answer = (_call, { signal }) =>
      new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    const heartbeat = start(membership, 10);
    await eventually('a poll', () => cluster.methods.includes(POLL));
    await heartbeat.stop();
    expect(cluster.methods).toEqual([POLL]);
  });
});
