import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { names, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

// Far longer than any test: only the broker's clock reaches it.
const TIMEOUT = 4_000_000;

let broker: TestBroker;
let api: ApiClient;
let groupId = '';
const fresh = names('group');

beforeAll(async () => {
  ({ broker, api } = await shareBroker({ activityStream: true, groups: { consumerTimeout: TIMEOUT } }));
  await api.createStream('five', { partitions: 5 });
});
beforeEach(() => {
  groupId = fresh();
});

const join = (consumerId: string, streams = ['five']) =>
  api.call('JoinConsumerGroup', { groupId, consumerId, streams });
const leave = (consumerId: string) => api.call('LeaveConsumerGroup', { groupId, consumerId });
const group = async () => (await api.call('FetchMetadata', { groups: [groupId] })).groupMetadata[0]!;
const refusedWith = (message: string) => ({ status: 'FAILED_PRECONDITION', message });
const invalid = (message: string) => ({ status: 'INVALID_ARGUMENT', message });

async function assignments(consumerId: string): Promise<Record<string, number[]>> {
  const { epoch } = await group();
  const answer = await api.call('FetchConsumerGroupAssignments', { groupId, consumerId, epoch });
  expect(answer.epoch).toBe(epoch);
  return Object.fromEntries(answer.assignments.map(({ stream, partitions }) => [stream, partitions]));
}

describe('JoinConsumerGroup', () => {
  it('reports the first missing argument', async () => {
    expect(await api.failure('JoinConsumerGroup', {})).toEqual(invalid('No groupId provided'));
    expect(await api.failure('JoinConsumerGroup', { groupId })).toEqual(invalid('No consumerId provided'));
    expect(await api.failure('JoinConsumerGroup', { groupId, consumerId: 'c' })).toEqual(
      invalid('No streams provided'),
    );
  });

  it('starts a group at epoch 0 and increases the epoch with each further member', async () => {
    const first = await join('c1');
    expect(first).toMatchObject({
      epoch: 0n,
      consumerTimeout: BigInt(TIMEOUT) * 1_000_000n,
      coordinatorTimeout: 15_000_000_000n,
    });
    expect(await assignments('c1')).toEqual({ five: [0, 1, 2, 3, 4] });
    const second = await join('c2');
    expect(second.epoch).toBeGreaterThan(0n);
    const stale = { groupId, consumerId: 'c1', epoch: 0n };
    const message = 'client-provided group epoch differs from broker group epoch';
    expect(await api.failure('FetchConsumerGroupAssignments', stale)).toEqual(refusedWith(message));
    expect([await assignments('c1'), await assignments('c2')]).toEqual([{ five: [0, 2, 4] }, { five: [1, 3] }]);
  });

  it('rejects an existing member, and a stream that does not exist, with or without a group', async () => {
    const unknown = refusedWith('stream does not exist');
    const request = { groupId, consumerId: 'c1', streams: ['five', 'nope'] };
    expect(await api.failure('JoinConsumerGroup', request)).toEqual(unknown);
    await join('c1');
    const again = refusedWith('consumer is already a member of the consumer group');
    expect(await api.failure('JoinConsumerGroup', request)).toEqual(again);
    expect(await api.failure('JoinConsumerGroup', { ...request, consumerId: 'c2' })).toEqual(unknown);
  });
});

describe('LeaveConsumerGroup', () => {
  it('rejects missing arguments, an unknown group, and a consumer that is not a member', async () => {
    expect(await api.failure('LeaveConsumerGroup', {})).toEqual(invalid('No groupId provided'));
    expect(await api.failure('LeaveConsumerGroup', { groupId })).toEqual(invalid('No consumerId provided'));
    const notFound = { status: 'NOT_FOUND', message: 'consumer group does not exist' };
    expect(await api.failure('LeaveConsumerGroup', { groupId, consumerId: 'c' })).toEqual(notFound);
    await join('c1');
    const noMember = refusedWith('consumer is not a member of the consumer group');
    expect(await api.failure('LeaveConsumerGroup', { groupId, consumerId: 'c' })).toEqual(noMember);
  });

  it('deletes the group with its last member', async () => {
    await join('c1');
    await leave('c1');
    expect(await group()).toMatchObject({ error: wire.ConsumerGroupMetadata_Error.UNKNOWN_GROUP });
    expect(await join('c1')).toMatchObject({ epoch: 0n });
  });
});

describe('FetchConsumerGroupAssignments', () => {
  it('checks the epoch before the membership', async () => {
    const request = { groupId, consumerId: 'stranger', epoch: 9n };
    expect(await api.failure('FetchConsumerGroupAssignments', request)).toMatchObject({ status: 'NOT_FOUND' });
    await join('c1');
    const epoch = refusedWith('client-provided group epoch differs from broker group epoch');
    expect(await api.failure('FetchConsumerGroupAssignments', request)).toEqual(epoch);
    const member = refusedWith('consumer is not a member of the consumer group');
    expect(await api.failure('FetchConsumerGroupAssignments', { ...request, epoch: 0n })).toEqual(member);
  });

  it('keeps a member that polls in its group; a silent member expires, and the others receive its partitions', async () => {
    await join('alive');
    await join('silent');
    await broker.clock.advance(0.75 * TIMEOUT);
    await assignments('alive');
    await broker.clock.advance(0.5 * TIMEOUT);
    expect(await assignments('alive')).toEqual({ five: [0, 1, 2, 3, 4] });
    await broker.clock.advance(TIMEOUT);
    expect(await group()).toMatchObject({ error: wire.ConsumerGroupMetadata_Error.UNKNOWN_GROUP });
    const left = () =>
      broker
        .messages('__activity')
        .map(({ value }) => wire.ActivityStreamEvent.decode(value!).leaveConsumerGroupOp)
        .filter((event) => event?.groupId === groupId)
        .map((event) => [event!.consumerId, event!.expired]);
    await expect.poll(left).toEqual([
      ['silent', true],
      ['alive', true],
    ]);
  });

  it('expires a member that polls with an old epoch', async () => {
    await join('c1');
    await join('c2');
    await broker.clock.advance(0.75 * TIMEOUT);
    await api.failure('FetchConsumerGroupAssignments', { groupId, consumerId: 'c1', epoch: 0n });
    await assignments('c2');
    await broker.clock.advance(0.5 * TIMEOUT);
    expect(await assignments('c2')).toEqual({ five: [0, 1, 2, 3, 4] });
  });

  it('returns no assignments, with a new epoch, when the only stream is deleted', async () => {
    await api.createStream(groupId);
    const { epoch } = await join('c1', [groupId]);
    await api.call('DeleteStream', { name: groupId });
    expect(await assignments('c1')).toEqual({});
    expect((await group()).epoch).toBeGreaterThan(epoch);
    await api.createStream(groupId);
    expect(await assignments('c1')).toEqual({});
  });
});

describe('ReportConsumerGroupCoordinator', () => {
  const report = (more: Partial<wire.ReportConsumerGroupCoordinatorRequest>) =>
    api.failure('ReportConsumerGroupCoordinator', { groupId, consumerId: 'c1', ...more });

  it('rejects a report that does not match the group', async () => {
    expect(await report({ groupId: '' })).toEqual(invalid('No groupId provided'));
    expect(await report({ consumerId: '' })).toEqual(invalid('No consumerId provided'));
    expect(await report({})).toEqual(invalid('No coordinator provided'));
    expect(await report({ coordinator: 'z' })).toEqual(refusedWith(`No such consumer group ${groupId}`));
    const { coordinator } = await join('c1');
    expect(await report({ coordinator: 'z', epoch: 3n })).toEqual(
      refusedWith(
        'Coordinator generation mismatch, ' +
          `current coordinator: ${coordinator} epoch: 0, got coordinator: z epoch: 3`,
      ),
    );
    expect(await report({ coordinator, consumerId: 'x' })).toEqual(
      refusedWith(`Consumer x is not a member of consumer group ${groupId}`),
    );
  });

  it('fails for lack of another broker in a cluster of one, once enough members have reported', async () => {
    const { coordinator } = await join('c1');
    const { epoch } = await join('c2');
    const request = { groupId, coordinator, epoch };
    await expect(api.call('ReportConsumerGroupCoordinator', { ...request, consumerId: 'c1' })).resolves.toEqual({});
    expect(await report({ ...request, consumerId: 'c2' })).toEqual(refusedWith('No group coordinator candidates'));
  });
});
