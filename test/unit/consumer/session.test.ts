import { afterEach, describe, expect, it } from 'vitest';
import { resolveConsumerOptions } from '../../../src/consumer/consumer-options.js';
import type { ConsumerContext } from '../../../src/consumer/context.js';
import { Session } from '../../../src/consumer/session.js';
import { ConnectionError, errorFromStatus } from '../../../src/errors.js';
import { ConsumerGroupMetadata_Error } from '../../../src/protocol/generated/api.js';
import { eventually } from '../../support/eventually.js';
import { FakeCluster } from './fake-cluster.js';

const HOURS = 3_600_000_000_000n;
const STREAMS = ['orders', 'refunds'];
const sessions: Session[] = [];

afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.stop(0, 0)));
});

/** A coordinator with one member: what it assigns and under which epoch; `failure` is what its polls fail of. */
async function member() {
  const group = { epoch: 0n, streams: STREAMS, failure: null as Error | null };
  const asked: string[] = [];
  const cluster = new FakeCluster(({ method, request }) => {
    asked.push(method);
    if (method === 'joinConsumerGroup') {
      group.streams = request.streams as string[];
      return { coordinator: 'b1', epoch: group.epoch, consumerTimeout: HOURS, coordinatorTimeout: HOURS };
    }
    if (method === 'fetchMetadata')
      return {
        groupMetadata: [
          { groupId: 'group', error: ConsumerGroupMetadata_Error.OK, coordinator: 'b1', epoch: group.epoch },
        ],
      };
    if (method !== 'fetchConsumerGroupAssignments') return {};
    if (group.failure !== null) throw group.failure;
    if (request.epoch !== group.epoch)
      throw errorFromStatus('FetchConsumerGroupAssignments', {
        code: 9,
        details: 'client-provided group epoch differs from broker group epoch',
      });
    return { epoch: group.epoch, assignments: group.streams.map((stream) => ({ stream, partitions: [0] })) };
  });
  // Partitions are never read here: what is assigned is what counts.
  const unreachable = () => Promise.reject(new ConnectionError('no broker', { reason: 'refused' }));
  Object.assign(cluster, {
    partitionCount: () => 1,
    createdAt: () => 1,
    on: () => () => undefined,
    refresh: async () => undefined,
    existence: async () => 'present',
    callLeader: unreachable,
  });
  const context = {
    cluster: cluster.asCluster,
    requestTimeout: 10_000,
    resubscribeTimeout: 60_000,
    cursors: { fetch: unreachable, set: unreachable },
  } as unknown as ConsumerContext;
  const options = resolveConsumerOptions('group', { fetchAssignmentsInterval: () => 10, revokeTimeout: 0 });
  const plan = { context, groupId: 'group', options, streams: STREAMS, failed: () => undefined };
  const session = await Session.start(plan, new AbortController().signal, 100);
  sessions.push(session);
  await eventually('the first assignment is there', () => session.map.size === 2);
  return { group, asked, session };
}

const recovering = errorFromStatus('FetchConsumerGroupAssignments', {
  code: 2,
  details: 'consumer not active for server (no timer)',
});

/** The coordinator restarts and comes back with these streams in the group, under that epoch. */
async function restarted({ group, asked }: Awaited<ReturnType<typeof member>>, streams: string[], epoch: bigint) {
  group.failure = recovering;
  asked.length = 0;
  await eventually(
    'polls have failed',
    () => asked.filter((method) => method === 'fetchConsumerGroupAssignments').length > 1,
  );
  Object.assign(group, { streams, epoch, failure: null });
}

describe('a session whose coordinator has restarted', () => {
  it('leaves and joins again when the group has lost a stream, which was created again some time', async () => {
    const one = await member();
    await restarted(one, ['refunds'], 34n);
    await eventually('it has joined again', () => one.asked.includes('joinConsumerGroup'));
    const calls = one.asked.filter((method) => /join|leave/.test(method));
    expect(calls).toEqual(['leaveConsumerGroup', 'joinConsumerGroup']);
    await eventually('it has both streams again', () => one.session.map.size === 2);
    expect(one.session.readyQueue.over).toBeNull();
  });

  it('continues when the group has all its streams', async () => {
    const one = await member();
    await restarted(one, STREAMS, 34n);
    const { length } = one.asked;
    const polls = () => one.asked.slice(length).filter((method) => method === 'fetchConsumerGroupAssignments').length;
    await eventually('polls are answered again', () => polls() > 3);
    expect(one.asked).not.toContain('joinConsumerGroup');
    expect(one.asked).not.toContain('leaveConsumerGroup');
  });
});

describe('a session', () => {
  it('continues when others were given all of a stream while the coordinator was there', async () => {
    const one = await member();
    one.asked.length = 0;
    Object.assign(one.group, { streams: ['refunds'], epoch: 2n });
    await eventually('it has given the other stream up', () => one.session.map.size === 1);
    expect(one.asked).not.toContain('joinConsumerGroup');
  });
});
