import { wire } from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { type Answer, eventually } from './clients.js';
import { known, running, threeBrokers } from './running.js';

// Far longer than any test.
const PATIENT = { consumerTimeout: 3_600_000, coordinatorTimeout: 3_600_000 };
const GROUP = { groupId: 'g', streams: ['s'] };

describe('consumer groups in a cluster', () => {
  it('are assigned to the brokers in turn as coordinators', async () => {
    const { clients } = await threeBrokers();
    const coordinators: string[] = [];
    for (const groupId of ['g1', 'g2', 'g3', 'g4']) {
      const joined = await clients[1]!.call('joinConsumerGroup', { groupId, consumerId: 'c', streams: ['s'] });
      coordinators.push(joined.coordinator);
    }
    expect(coordinators).toEqual(['broker-0', 'broker-1', 'broker-2', 'broker-0']);
  });

  it('return assignments only on their coordinator', async () => {
    const { clients } = await threeBrokers();
    const joined = await clients[2]!.call('joinConsumerGroup', { ...GROUP, consumerId: 'c' });
    const request = { groupId: 'g', consumerId: 'c', epoch: joined.epoch };
    // The response to a join arrives before the other brokers know of it.
    for (const client of clients)
      await eventually(
        async () => (await client.call('fetchMetadata', { streams: ['s'], groups: ['g'] })).groupMetadata[0],
        (group) => group.error === 'OK' && group.epoch === joined.epoch,
      );
    await expect(clients[2]!.call('fetchConsumerGroupAssignments', request)).rejects.toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'broker is not the consumer group coordinator',
    });
    const { assignments } = await clients[0]!.call('fetchConsumerGroupAssignments', request);
    expect(assignments).toEqual([{ stream: 's', partitions: [0] }]);
  });

  it('get another coordinator and a new epoch when most members report theirs', async () => {
    const { broker, clients } = await threeBrokers({}, { groups: PATIENT });
    const joins: Answer[] = [];
    for (const consumerId of ['c1', 'c2', 'c3'])
      joins.push(await clients[1]!.call('joinConsumerGroup', { ...GROUP, consumerId }));
    const { coordinator, epoch } = joins[2];
    const groupOn = async (index: number): Promise<Answer> =>
      (await clients[index]!.call('fetchMetadata', { streams: ['s'], groups: ['g'] })).groupMetadata[0];
    expect(coordinator).toBe('broker-0');
    // The response to a join arrives before the other brokers know of it.
    await eventually(
      () => groupOn(1),
      (group) => group.epoch === epoch,
    );
    await broker.stopBroker(0);
    const report = (consumerId: string) =>
      clients[1]!.call('reportConsumerGroupCoordinator', { groupId: 'g', consumerId, coordinator, epoch });
    await eventually(
      () =>
        report('c1').then(
          () => true,
          () => false,
        ),
      (reported) => reported,
    );
    expect(await groupOn(1)).toMatchObject({ coordinator, epoch });
    await report('c1');
    expect(await groupOn(1)).toMatchObject({ coordinator, epoch });
    await report('c2');
    const moved = await groupOn(1);
    expect(moved.coordinator).toBe('broker-1');
    expect(moved.epoch).toBeGreaterThan(epoch);
    await expect(report('c3')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    const request = { groupId: 'g', consumerId: 'c3', epoch: moved.epoch };
    await clients[1]!.call('fetchConsumerGroupAssignments', request);
  });
});

describe('the activity stream of a cluster', () => {
  it('continues in order when the metadata leader is stopped', async () => {
    const { broker, clients } = await running({ brokers: 3, activityStream: true });
    await clients[0]!.createStream('a');
    await broker.stopBroker(0);
    await eventually(
      () =>
        clients[1]!.createStream('b').then(
          () => true,
          ({ code }: { code: string }) => code === 'ALREADY_EXISTS',
        ),
      (created) => created,
    );
    const events = async () => {
      // Publishes to the stopped leader fail after five seconds.
      await broker.clock.advance(500);
      return broker
        .messages('__activity')
        .map(({ value }) => wire.ActivityStreamEvent.decode(value ?? Buffer.alloc(0)));
    };
    const found = await eventually(events, (all) => all.some(({ createStreamOp }) => createStreamOp?.stream === 'b'));
    const ids = found.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted((a, b) => Number(a - b)));
    const created = new Set(found.map(({ createStreamOp }) => createStreamOp?.stream));
    expect(created).toEqual(new Set(['__activity', '__cursors', 'a', 'b']));
  });
});

describe('Subscribe on a broker without a replica', () => {
  it('is accepted as a read of an in-sync replica, and delivers nothing', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    await clients[0]!.createStream('s');
    await known('s', clients);
    const outside = broker.leaderOf('s') === 2 ? 1 : 2;
    const subscription = clients[outside]!.subscribe('s', { readISRReplica: true });
    await subscription.live;
    await clients[0]!.publish('s', 'x', { ackPolicy: 'ALL' });
    await broker.clock.advance(1_000);
    expect(subscription.values).toEqual([]);
    subscription.cancel();
  });
});

describe('a paused stream in a cluster', () => {
  it('is resumed by a publish through any broker', async () => {
    const { clients, leader, follower } = await threeBrokers();
    await clients[follower]!.publish('s', 'a', { ackPolicy: 'ALL' });
    await clients[follower]!.call('pauseStream', { name: 's', partitions: [], resumeAll: true });
    await eventually(
      () => clients[leader]!.partition('s').catch((error: unknown) => error),
      (answer) => (answer as { code?: string }).code === 'FAILED_PRECONDITION',
    );
    expect((await clients[follower]!.publish('s', 'b', { ackPolicy: 'ALL' })).offset).toBe(1);
    expect(await clients[leader]!.partition('s')).toMatchObject({ paused: true, newestOffset: 1 });
  });
});
