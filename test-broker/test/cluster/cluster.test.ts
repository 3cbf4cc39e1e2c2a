import { describe, expect, it } from 'vitest';
import { eventually } from './clients.js';
import { running, threeBrokers } from './running.js';

describe('placement', () => {
  it('puts single-partition streams on the brokers in turn', async () => {
    const { broker, client } = await running({ brokers: 3 });
    for (const name of ['a', 'b', 'c', 'd']) await client.createStream(name);
    expect(['a', 'b', 'c', 'd'].map((name) => broker.leaderOf(name, 0))).toEqual([0, 1, 2, 0]);
  });

  it('gives all partitions of a stream the same replicas and the same leader', async () => {
    const { broker, client } = await running({ brokers: 3 });
    await client.createStream('first');
    await client.createStream('s', { partitions: 6 });
    expect(new Set([0, 1, 2, 3, 4, 5].map((partition) => broker.leaderOf('s', partition)))).toEqual(new Set([1]));
    await client.createStream('t', { partitions: 3, replicationFactor: 2 });
    const { streamMetadata } = await client.call('fetchMetadata', { streams: ['t'] });
    const sets = [0, 1, 2].map((id) => streamMetadata[0].partitions[id].replicas.toSorted().join());
    expect(new Set(sets)).toEqual(new Set(['broker-0,broker-2']));
  });

  it('rejects more replicas than there are brokers, on any broker', async () => {
    const { clients } = await running({ brokers: 3 });
    for (const client of clients) {
      await expect(client.createStream('s', { replicationFactor: 4 })).rejects.toEqual({
        code: 'INVALID_ARGUMENT',
        details: 'Invalid replicationFactor 4, cluster size 3',
      });
    }
  });

  it('also chooses a broker that is down, and then responds after half a second', async () => {
    const { broker, client } = await running({ brokers: 3 });
    await broker.stopBroker(2);
    for (const name of ['a', 'b', 'c']) await client.createStream(name);
    expect(broker.leaderOf('c', 0)).toBe(2);
  });
});

describe('a broker that does not lead', () => {
  it('forwards operations and returns the texts of the metadata leader', async () => {
    const { clients } = await running({ brokers: 3 });
    await clients[2]!.createStream('s');
    await expect(clients[1]!.createStream('s')).rejects.toEqual({
      code: 'ALREADY_EXISTS',
      details: 'stream already exists',
    });
    await expect(clients[1]!.call('deleteStream', { name: 'x' })).rejects.toEqual({
      code: 'NOT_FOUND',
      details: 'stream does not exist',
    });
  });

  it('accepts publishes', async () => {
    const { clients, follower } = await threeBrokers();
    for (const client of clients) await client.publish('s', 'x', { ackPolicy: 'ALL' });
    expect((await clients[follower]!.publish('s', 'y')).offset).toBe(3);
  });

  it('rejects subscriptions except reads of an in-sync replica', async () => {
    const { clients, follower } = await threeBrokers();
    const client = clients[follower]!;
    expect(await client.subscribe('s').ended).toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'Server not partition leader',
    });
    const consumer = { groupId: 'g', consumerId: 'c', groupEpoch: 0 };
    expect(await client.subscribe('s', { readISRReplica: true, consumer }).ended).toEqual({
      code: 'INVALID_ARGUMENT',
      details: 'Consumer groups not compatible with ReadISRReplica',
    });
    await client.subscribe('s', { readISRReplica: true }).live;
  });

  it('rejects requests for partition metadata and cursors', async () => {
    const { clients, follower } = await threeBrokers({}, { cursorsPartitions: 1 });
    await expect(clients[follower]!.call('fetchPartitionMetadata', { stream: 's' })).rejects.toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'The request should be sent to partition leader',
    });
    const cursor = { stream: 's', cursorId: 'c', offset: 3 };
    const answers = await Promise.allSettled(clients.map((client) => client.call('setCursor', cursor)));
    const refused = answers.filter((answer) => answer.status === 'rejected').map((answer) => answer.reason);
    expect(refused).toHaveLength(2);
    expect(refused[0]).toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'Server not leader for cursors partition 0',
    });
  });

  it('reads up to its own high watermark, which follows that of the leader', async () => {
    const { clients, follower } = await threeBrokers();
    const subscription = clients[follower]!.subscribe('s', { readISRReplica: true });
    await subscription.live;
    for (const value of ['a', 'b', 'c']) await clients[0]!.publish('s', value, { ackPolicy: 'ALL' });
    await subscription.count(3);
    expect(subscription.values).toEqual(['a', 'b', 'c']);
    subscription.cancel();
  });
});

describe('replication', () => {
  it('acknowledges ALL once every in-sync replica has the message', async () => {
    const { broker, clients, follower } = await threeBrokers();
    const ack = await clients[0]!.publish('s', 'x', { ackPolicy: 'ALL' });
    expect(ack).toMatchObject({ offset: 0, ackPolicy: 'ALL', stream: 's' });
    await broker.moveLeader('s', 0, follower);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['x']);
  });

  it('keeps offsets, times and headers of the leader', async () => {
    const { broker, clients, follower } = await threeBrokers();
    await clients[0]!.publish('s', 'x', { ackPolicy: 'ALL', key: Buffer.from('k'), headers: { h: Buffer.from('v') } });
    const [before] = broker.messages('s', 0);
    await broker.moveLeader('s', 0, follower);
    const [after] = broker.messages('s', 0);
    expect(after).toMatchObject({ offset: 0n, timestamp: before!.timestamp, key: before!.key });
    expect(after!.headers.h).toEqual(Buffer.from('v'));
  });

  it('shows the lag of an isolated follower as a high watermark below the newest offset', async () => {
    const { broker, clients, leader, follower, other } = await threeBrokers(
      {},
      { settings: { 'clustering.replica.max.lag.time': '1h', 'clustering.replica.max.leader.timeout': '1h' } },
    );
    broker.faults.partition(leader, follower);
    broker.faults.partition(leader, other);
    await clients[leader]!.publish('s', 'x');
    const { metadata } = await clients[leader]!.call('fetchPartitionMetadata', { stream: 's' });
    expect(metadata).toMatchObject({ highWatermark: -1, newestOffset: 0 });
    broker.faults.heal();
    await eventually(
      () => clients[leader]!.partition('s'),
      ({ highWatermark }) => highWatermark === 0,
    );
  });
});
