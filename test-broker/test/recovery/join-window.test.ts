import { describe, expect, it } from 'vitest';
import { freezeClock } from '../broker-fixture.js';
import { type Answer, eventually, type Failure } from '../cluster/clients.js';
import { known, running } from '../cluster/running.js';

const MINUTE = 60_000;

/** A cluster with a group whose coordinator is not the metadata leader and learns of every change a minute later. */
async function delayed() {
  const cluster = await running({ brokers: 3, groups: { consumerTimeout: 60 * MINUTE } });
  const [leader, coordinator] = cluster.clients as [Answer, Answer];
  await leader.createStream('s');
  await known('s', cluster.clients);
  await leader.call('joinConsumerGroup', { groupId: 'other', consumerId: 'c', streams: ['s'] });
  cluster.broker.faults.delayMetadata(MINUTE);
  const join = (consumerId: string, groupId = 'g') =>
    leader.call('joinConsumerGroup', { groupId, consumerId, streams: ['s'] });
  const leave = (consumerId: string) => leader.call('leaveConsumerGroup', { groupId: 'g', consumerId });
  const fetch = (consumerId: string, epoch: number) =>
    coordinator.call('fetchConsumerGroupAssignments', { groupId: 'g', consumerId, epoch });
  return { ...cluster, leader, coordinator, join, leave, fetch };
}

const UNKNOWN = { code: 'NOT_FOUND', details: 'consumer group does not exist' };
const DIFFERS = {
  code: 'FAILED_PRECONDITION',
  details: 'client-provided group epoch differs from broker group epoch',
};

describe('the time between the response to a join and its arrival at the coordinator', () => {
  it('shows no group to its first member, and the old epoch to its second', async () => {
    const { broker, join, fetch } = await delayed();
    const first = await join('c1');
    expect(first).toMatchObject({ coordinator: 'broker-1', epoch: 0 });
    await expect(fetch('c1', 0)).rejects.toEqual(UNKNOWN);
    await broker.clock.advance(MINUTE + 10);
    expect((await fetch('c1', 0)).assignments).toEqual([{ stream: 's', partitions: [0] }]);
    const second = await join('c2');
    expect(second.epoch).toBeGreaterThan(0);
    await expect(fetch('c2', second.epoch)).rejects.toEqual(DIFFERS);
    expect((await fetch('c1', 0)).epoch).toBe(0);
    await broker.clock.advance(MINUTE + 10);
    expect((await fetch('c2', second.epoch)).epoch).toBe(second.epoch);
    await expect(fetch('c1', 0)).rejects.toEqual(DIFFERS);
  });

  it('also exists after a leave, and brokers return different epochs in it', async () => {
    const { broker, leader, coordinator, join, leave, fetch } = await delayed();
    await join('c1');
    await join('c2');
    await broker.clock.advance(MINUTE + 10);
    await leave('c2');
    const groupOn = async (client: Answer) => (await client.call('fetchMetadata', { groups: ['g'] })).groupMetadata[0];
    expect((await groupOn(leader)).epoch).toBeGreaterThan((await groupOn(coordinator)).epoch);
    await leave('c1');
    expect((await groupOn(leader)).error).toBe('UNKNOWN_GROUP');
    await expect(fetch('c1', 0)).rejects.toEqual(DIFFERS);
    await broker.clock.advance(MINUTE + 10);
    await expect(fetch('c1', 0)).rejects.toEqual(UNKNOWN);
  });

  it('also applies to consumers that join and leave through the coordinator, which does not wait', async () => {
    const { coordinator, fetch } = await delayed();
    // With a stopped clock, a response that waits for the broker's own state never arrives.
    freezeClock();
    const joined = await coordinator.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c1', streams: ['s'] });
    expect(joined).toMatchObject({ coordinator: 'broker-1', epoch: 0 });
    await expect(fetch('c1', 0)).rejects.toEqual(UNKNOWN);
    await coordinator.call('leaveConsumerGroup', { groupId: 'g', consumerId: 'c1' });
  });

  it('ends with the fault', async () => {
    const { broker, join, fetch } = await delayed();
    await join('c1');
    await expect(fetch('c1', 0)).rejects.toEqual(UNKNOWN);
    broker.faults.delayMetadata(0);
    await broker.clock.advance(10);
    expect((await fetch('c1', 0)).epoch).toBe(0);
    expect(() => broker.faults.delayMetadata(-1)).toThrow('expected ms to be a number of at least 0, got -1');
  });
});

describe('a newly elected metadata leader', () => {
  const EXISTS = { code: 'FAILED_PRECONDITION', details: 'consumer group already exists' };

  it('rejects joins of groups that it does not know yet, as often as the test configures', async () => {
    const { broker, clients, client } = await running({ brokers: 3, groups: { consumerTimeout: 60 * MINUTE } });
    await client.createStream('s', { replicationFactor: 3 });
    await known('s', clients);
    const join = (consumerId: string, groupId: string) =>
      clients[1]!.call('joinConsumerGroup', { groupId, consumerId, streams: ['s'] });
    await join('c', 'g');
    broker.faults.electUnaware(2);
    await join('c', 'h');
    expect((await join('d', 'h')).epoch).toBeGreaterThan(0);
    await broker.stopBroker(0);
    await eventually(
      () => clients[1]!.createStream('elected').catch(({ code }: Failure) => code),
      (end) => end !== 'INTERNAL',
    );
    expect((await join('c', 'new')).epoch).toBe(0);
    expect(broker.faults.pending).toBe(2);
    await expect(join('d', 'g')).rejects.toEqual(EXISTS);
    await expect(join('c', 'g')).rejects.toEqual(EXISTS);
    expect(broker.faults.pending).toBe(0);
    expect((await join('d', 'g')).epoch).toBeGreaterThan(0);
    await expect(join('c', 'g')).rejects.toMatchObject({ details: expect.stringContaining('already a member') });
  });

  it('rejects them as a single broker too when it has restarted, and knows the groups after clear', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    const join = (consumerId: string) => client.call('joinConsumerGroup', { groupId: 'g', consumerId, streams: ['s'] });
    await join('c');
    broker.faults.electUnaware();
    await broker.stopBroker(0);
    await (await broker.startBroker(0)).ready;
    await expect(join('d')).rejects.toEqual(EXISTS);
    broker.faults.electUnaware();
    broker.faults.clear();
    await broker.stopBroker(0);
    await (await broker.startBroker(0)).ready;
    expect((await join('d')).epoch).toBeGreaterThan(0);
    expect(() => broker.faults.electUnaware(0)).toThrow('expected joins to be');
  });
});

describe('a single broker', () => {
  it('knows of a join when it responds', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    broker.faults.delayMetadata(MINUTE);
    const { epoch } = await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    const { assignments } = await client.call('fetchConsumerGroupAssignments', {
      groupId: 'g',
      consumerId: 'c',
      epoch,
    });
    expect(assignments).toEqual([{ stream: 's', partitions: [0] }]);
  });
});
