import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, describe, expect, it } from 'vitest';
import { shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

let broker: TestBroker;
let api: ApiClient;
let earliest = 0;

beforeAll(async () => {
  earliest = Date.now();
  ({ broker, api } = await shareBroker({ cursorsPartitions: 0 }));
  await api.createStream('s', { subject: 'subject', partitions: 2 });
  await api.createStream('other');
});

const NEVER = { firstTimestamp: 0n, latestTimestamp: 0n };

describe('FetchMetadata', () => {
  it('returns the requested streams, in that order and with duplicates', async () => {
    const { streamMetadata, groupMetadata } = await api.call('FetchMetadata', { streams: ['s', 'nope', 's'] });
    expect(streamMetadata.map(({ name, error }) => [name, error])).toEqual([
      ['s', 0],
      ['nope', wire.StreamMetadata_Error.UNKNOWN_STREAM],
      ['s', 0],
    ]);
    expect(streamMetadata[1]).toEqual({ ...wire.StreamMetadata.create(), name: 'nope', error: 1 });
    expect(groupMetadata).toEqual([]);
  });

  it('returns all streams when only groups are requested', async () => {
    await api.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    const { streamMetadata, groupMetadata, brokers } = await api.call('FetchMetadata', { groups: ['g', 'nope'] });
    expect(streamMetadata.map(({ name }) => name).sort()).toEqual(['other', 's']);
    const [{ id }] = brokers as [wire.Broker];
    expect(groupMetadata).toEqual([
      { groupId: 'g', error: 0, coordinator: id, epoch: 0n },
      { groupId: 'nope', error: wire.ConsumerGroupMetadata_Error.UNKNOWN_GROUP, coordinator: '', epoch: 0n },
    ]);
  });

  it('returns all fields of a partition', async () => {
    const { streamMetadata, brokers } = await api.call('FetchMetadata', { streams: ['s'] });
    const [{ id: leader, host, port }] = brokers as [wire.Broker];
    expect(`${host}:${port}`).toBe(broker.addresses[0]);
    const [{ subject, creationTimestamp, partitions }] = streamMetadata as [wire.StreamMetadata];
    expect(subject).toBe('subject');
    const created = Number(creationTimestamp / 1_000_000n);
    expect(created).toBeGreaterThanOrEqual(earliest);
    expect(created).toBeLessThanOrEqual(broker.clock.now());
    expect(partitions.get(1)).toEqual({
      id: 1,
      leader,
      replicas: [leader],
      isr: [leader],
      highWatermark: -1n,
      newestOffset: -1n,
      paused: false,
      readonly: false,
      messagesReceivedTimestamps: NEVER,
      pauseTimestamps: NEVER,
      readonlyTimestamps: NEVER,
    });
  });

  it('recalculates the load only when its cached list is too old', async () => {
    const partitions = async () => (await api.call('FetchMetadata', {})).brokers[0]!.partitionCount;
    const before = await partitions();
    await api.createStream('more', { partitions: 4 });
    expect(await partitions()).toBe(before);
    await broker.clock.advance(120_001);
    expect(await partitions()).toBe(before + 4);
  });

  it('subtracts a partition from the load at each of its pauses, but never goes below zero', async () => {
    const load = async () => {
      await broker.clock.advance(120_001);
      const [{ partitionCount, leaderCount }] = (await api.call('FetchMetadata', {})).brokers as [wire.Broker];
      return [partitionCount, leaderCount];
    };
    const [before] = (await load()) as [number];
    await api.createStream('paused-twice', { partitions: 2 });
    expect(await load()).toEqual([before + 2, before + 2]);
    for (const left of [before, before - 2, before - 4, Math.max(0, before - 6), Math.max(0, before - 8)]) {
      await api.call('PauseStream', { name: 'paused-twice' });
      expect(await load()).toEqual([left, left]);
    }
  });
});

describe('FetchPartitionMetadata', () => {
  it.each([
    ['stream', { stream: 'nope', partition: 0 }],
    ['partition', { stream: 's', partition: 2 }],
    ['negative partition', { stream: 's', partition: -1 }],
  ])('fails with NOT_FOUND for an unknown %s', async (_, request) => {
    expect(await api.failure('FetchPartitionMetadata', request)).toEqual({
      status: 'NOT_FOUND',
      message: 'partition not found',
    });
  });

  it('returns the offsets and the times of received messages', async () => {
    const [first] = await api.publish('s', ['a', 'b']);
    const { metadata } = await api.call('FetchPartitionMetadata', { stream: 's', partition: 0 });
    expect(metadata).toMatchObject({ highWatermark: 1n, newestOffset: 1n });
    const { firstTimestamp, latestTimestamp } = metadata!.messagesReceivedTimestamps!;
    expect(firstTimestamp).toBe(first!.receptionTimestamp);
    expect(latestTimestamp).toBeGreaterThan(firstTimestamp);
  });
});
