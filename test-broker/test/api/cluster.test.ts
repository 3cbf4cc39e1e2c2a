import { crc32 } from 'node:zlib';
import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeEach, describe, expect, it } from 'vitest';
import { openBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const BROKERS = [0, 1, 2];
// Far longer than any test: only the broker's clock reaches it.
const TIMEOUT = 1_500_000;

let broker: TestBroker;
let apis: ApiClient[];

beforeEach(async () => {
  const groups = { consumerTimeout: TIMEOUT, coordinatorTimeout: TIMEOUT };
  ({ broker, apis } = await openBroker({ brokers: 3, cursorsPartitions: 3, activityStream: true, groups }));
});

/** Index of the broker with this id. */
async function indexOf(id: string): Promise<number> {
  const { brokers } = await apis[0]!.call('FetchMetadata', {});
  const { host, port } = brokers.find((one) => one.id === id)!;
  return broker.addresses.indexOf(`${host}:${port}`);
}

const other = (index: number) => (index + 1) % BROKERS.length;

describe('consumer groups of a cluster', () => {
  it('have one coordinator, and only it returns assignments', async () => {
    await apis[0]!.createStream('s', { partitions: 2 });
    const joined = await apis[1]!.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    const coordinator = await indexOf(joined.coordinator);
    const request = { groupId: 'g', consumerId: 'c', epoch: joined.epoch };
    const answer = await apis[coordinator]!.call('FetchConsumerGroupAssignments', request);
    expect(answer.assignments).toEqual([{ stream: 's', partitions: [0, 1] }]);
    expect(await apis[other(coordinator)]!.failure('FetchConsumerGroupAssignments', request)).toEqual({
      status: 'FAILED_PRECONDITION',
      message: 'broker is not the consumer group coordinator',
    });
  });

  it('get another coordinator, with a new epoch and fresh timers, when enough members report it', async () => {
    await apis[0]!.createStream('s');
    const { coordinator } = await apis[0]!.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'a', streams: ['s'] });
    const { epoch } = await apis[0]!.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'b', streams: ['s'] });
    const report = { groupId: 'g', coordinator, epoch };
    await expect
      .poll(async () => (await apis[1]!.call('FetchMetadata', { groups: ['g'] })).groupMetadata[0]!.epoch)
      .toBe(epoch);
    await broker.clock.advance(0.7 * TIMEOUT);
    await apis[1]!.call('ReportConsumerGroupCoordinator', { ...report, consumerId: 'a' });
    await apis[1]!.call('ReportConsumerGroupCoordinator', { ...report, consumerId: 'a' });
    await apis[1]!.call('ReportConsumerGroupCoordinator', { ...report, consumerId: 'b' });
    const { groupMetadata } = await apis[1]!.call('FetchMetadata', { groups: ['g'] });
    const [group] = groupMetadata as [wire.ConsumerGroupMetadata];
    expect(group.coordinator).not.toBe(coordinator);
    expect(group.epoch).toBeGreaterThan(epoch);
    await broker.clock.advance(0.7 * TIMEOUT);
    const asked = apis[await indexOf(group.coordinator)]!;
    const request = { groupId: 'g', consumerId: 'a', epoch: group.epoch };
    await expect(asked.call('FetchConsumerGroupAssignments', request)).resolves.toMatchObject({ epoch: group.epoch });
    await broker.clock.advance(0.7 * TIMEOUT);
    await expect
      .poll(async () => (await asked.call('FetchMetadata', { groups: ['g'] })).groupMetadata[0]!.epoch)
      .toBeGreaterThan(group.epoch);
  });

  it('expire their members even if the coordinator was restarted', async () => {
    await apis[0]!.createStream('s');
    const joined = await apis[0]!.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'a', streams: ['s'] });
    const coordinator = await indexOf(joined.coordinator);
    await broker.stopBroker(coordinator);
    await broker.clock.advance(1.5 * TIMEOUT);
    await broker.startBroker(coordinator);
    const asked = apis[other(coordinator)]!;
    const error = async () => (await asked.call('FetchMetadata', { groups: ['g'] })).groupMetadata[0]!.error;
    expect(await error()).toBe(wire.ConsumerGroupMetadata_Error.OK);
    await broker.clock.advance(TIMEOUT);
    await expect.poll(error).toBe(wire.ConsumerGroupMetadata_Error.UNKNOWN_GROUP);
  });
});

describe('cursors of a cluster', () => {
  it('are kept by the leader of their partition, and survive its failure', async () => {
    const cursor = { stream: 's', partition: 0, cursorId: 'c' };
    const partition = crc32('c,s,0') % 3;
    const leader = broker.leaderOf('__cursors', partition);
    await apis[leader]!.call('SetCursor', { ...cursor, offset: 5n });
    const refused = {
      status: 'FAILED_PRECONDITION',
      message: `Server not leader for cursors partition ${partition}`,
    };
    expect(await apis[other(leader)]!.failure('FetchCursor', cursor)).toEqual(refused);
    expect(await apis[other(leader)]!.failure('SetCursor', cursor)).toEqual(refused);
    await broker.stopBroker(leader);
    await expect
      .poll(async () => {
        await broker.clock.advance(50);
        return broker.leaderOf('__cursors', partition);
      })
      .not.toBe(leader);
    const next = apis[broker.leaderOf('__cursors', partition)]!;
    // A cursor that is read before its commit is known is cached as absent.
    const asked = { stream: '__cursors', partition };
    await expect
      .poll(async () => (await next.call('FetchPartitionMetadata', asked).catch(() => null))?.metadata?.highWatermark)
      .toBeGreaterThanOrEqual(0n);
    await expect.poll(async () => (await next.call('FetchCursor', cursor).catch(() => null))?.offset).toBe(5n);
  });
});

describe('Subscribe in a cluster', () => {
  it('stays open on a broker without a replica until the stream is deleted', async () => {
    await apis[0]!.createStream('single', { replicationFactor: 1 });
    const leader = broker.leaderOf('single');
    await apis[leader]!.publish('single', ['x']);
    const asked = apis[other(leader)]!;
    const request = { stream: 'single', readISRReplica: true };
    await expect
      .poll(async () => (await asked.call('FetchMetadata', { streams: ['single'] })).streamMetadata[0]!.error)
      .toBe(0);
    expect(await asked.subscribe({ ...request, stopPosition: 2 }).end()).toMatchObject({ message: 'Stream is empty' });
    const messages = asked.subscribe({ ...request, startPosition: 2 });
    await messages.next();
    await apis[leader]!.publish('single', ['y']);
    await apis[leader]!.call('DeleteStream', { name: 'single' });
    expect(await messages.end()).toEqual({ status: 'NOT_FOUND', message: 'commit log was deleted' });
  });

  it('does not let a follower read for a consumer group', async () => {
    await apis[0]!.createStream('s', { replicationFactor: 3 });
    const asked = apis[other(broker.leaderOf('s'))]!;
    await expect
      .poll(async () => (await asked.call('FetchMetadata', { streams: ['s'] })).streamMetadata[0]!.error)
      .toBe(0);
    const consumer = { groupId: 'g', groupEpoch: 0n, consumerId: 'c' };
    expect(await asked.subscribe({ stream: 's', consumer }).end()).toMatchObject({
      message: 'Server not partition leader',
    });
    expect(await asked.subscribe({ stream: 's', consumer, readISRReplica: true }).end()).toEqual({
      status: 'INVALID_ARGUMENT',
      message: 'Consumer groups not compatible with ReadISRReplica',
    });
  });
});

describe('the activity stream of a cluster', () => {
  it('continues with another metadata leader, which may repeat a pending event', async () => {
    const created = () =>
      broker
        .messages('__activity')
        .map(({ value }) => wire.ActivityStreamEvent.decode(value!).createStreamOp?.stream)
        .filter((name) => name !== undefined);
    const names = () => [...new Set(created())];
    await apis[0]!.createStream('one');
    await expect.poll(created).toEqual(['__activity', '__cursors', 'one']);
    const leader = broker.leaderOf('__activity');
    await broker.stopBroker(leader);
    const asked = apis[other(leader)]!;
    await expect
      .poll(async () => {
        await broker.clock.advance(50);
        return asked.createStream('two').then(
          () => true,
          () => false,
        );
      })
      .toBe(true);
    await expect
      .poll(async () => {
        await broker.clock.advance(200);
        return names();
      })
      .toEqual(['__activity', '__cursors', 'one', 'two']);
  });
});
