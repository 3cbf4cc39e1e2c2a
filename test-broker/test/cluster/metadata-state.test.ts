import { describe, expect, it } from 'vitest';
import type { Operation } from '../../src/cluster/contract.js';
import { MetadataState } from '../../src/cluster/metadata-state.js';
import { OperationLog } from '../../src/cluster/operation-log.js';
import { running } from './running.js';

const placement = (count: number) => Array(count).fill({ replicas: ['a', 'b'], leader: 'a' });

/** A copy of the metadata with one stream of two partitions, and a way to apply operations to it. */
function withStream() {
  const metadata = new MetadataState();
  let index = 3n;
  const apply = (operation: Operation) => {
    index += 2n;
    metadata.apply(operation, index);
  };
  apply({
    kind: 'create-stream',
    name: 's',
    subject: 'some.subject',
    group: '',
    replicationFactor: 2,
    partitionCount: 2,
    config: {},
    createdAt: 1n,
    placement: placement(2),
  });
  const partition = (id: number) => metadata.partition('s', id)!;
  return { metadata, apply, partition };
}

describe('MetadataState', () => {
  it('gives partitions after the first a subject with their number', () => {
    const { partition } = withStream();
    expect([partition(0).subject, partition(1).subject]).toEqual(['some.subject', 'some.subject.1']);
    expect(partition(0)).toMatchObject({ leader: 'a', leaderEpoch: 5n, paused: false });
  });

  it('always reports a partition as paused after the first pause', () => {
    const { apply, partition } = withStream();
    apply({ kind: 'pause-stream', name: 's', partitions: [1], resumeAll: false, at: 7n });
    expect(partition(0)).toMatchObject({ paused: false, reportedPaused: false, pauseTimes: { first: 0n, latest: 0n } });
    expect(partition(1)).toMatchObject({ paused: true, reportedPaused: true, pauseTimes: { first: 7n, latest: 7n } });
    apply({ kind: 'resume-stream', name: 's', partitions: [1], at: 9n });
    expect(partition(1)).toMatchObject({ paused: false, reportedPaused: true, pauseTimes: { first: 7n, latest: 9n } });
  });

  it('counts a partition twice that is listed twice', () => {
    const { metadata, apply, partition } = withStream();
    apply({ kind: 'pause-stream', name: 's', partitions: [1, 1], resumeAll: false, at: 7n });
    expect(partition(1)).toMatchObject({ paused: true, pauseTimes: { first: 7n, latest: 8n } });
    expect(metadata.loads.of('a')).toEqual({ partitions: 0, leaders: 0 });
    apply({ kind: 'set-readonly', name: 's', partitions: [0, 0, 1], readonly: true, at: 9n });
    expect(partition(0).readonlyTimes).toEqual({ first: 9n, latest: 10n });
    expect(partition(1).readonlyTimes).toEqual({ first: 11n, latest: 11n });
  });

  it('resets readonly at a pause, but still reports it', () => {
    const { apply, partition } = withStream();
    apply({ kind: 'set-readonly', name: 's', partitions: [], readonly: true, at: 7n });
    apply({ kind: 'pause-stream', name: 's', partitions: [0], resumeAll: false, at: 8n });
    expect(partition(0).readonly).toBe(true);
    apply({ kind: 'resume-stream', name: 's', partitions: [0], at: 9n });
    expect(partition(0)).toMatchObject({ readonly: false, reportedReadonly: true });
    expect(partition(1)).toMatchObject({ readonly: true, reportedReadonly: true });
  });

  it('uses resumeAll of the last pause of any partitions', () => {
    const { metadata, apply } = withStream();
    apply({ kind: 'pause-stream', name: 's', partitions: [], resumeAll: true });
    apply({ kind: 'pause-stream', name: 's', partitions: [0], resumeAll: false });
    expect(metadata.stream('s')!.resumeAll).toBe(false);
  });

  it('subtracts a partition from the load at every pause and when it is deleted, but never goes below zero', () => {
    const { metadata, apply } = withStream();
    expect(metadata.loads.of('a')).toEqual({ partitions: 2, leaders: 2 });
    expect(metadata.loads.of('b')).toEqual({ partitions: 2, leaders: 0 });
    apply({ kind: 'pause-stream', name: 's', partitions: [0], resumeAll: false });
    expect(metadata.loads.of('a')).toEqual({ partitions: 1, leaders: 1 });
    apply({ kind: 'resume-stream', name: 's', partitions: [0] });
    expect(metadata.loads.of('a')).toEqual({ partitions: 2, leaders: 2 });
    apply({ kind: 'pause-stream', name: 's', partitions: [0], resumeAll: false });
    apply({ kind: 'pause-stream', name: 's', partitions: [0], resumeAll: false });
    apply({ kind: 'delete-stream', name: 's' });
    expect(metadata.loads.of('a')).toEqual({ partitions: 0, leaders: 0 });
  });

  it('uses the index of the operation as the new epoch when the leader changes', () => {
    const { metadata, apply, partition } = withStream();
    apply({ kind: 'change-leader', stream: 's', partition: 0, leader: 'b' });
    expect(partition(0)).toMatchObject({ leader: 'b', leaderEpoch: 7n });
    expect(metadata.loads.of('a').leaders).toBe(1);
    expect(metadata.loads.of('b').leaders).toBe(1);
  });

  it('ignores operations on a deleted stream', () => {
    const { metadata, apply } = withStream();
    apply({ kind: 'delete-stream', name: 's' });
    apply({ kind: 'pause-stream', name: 's', partitions: [], resumeAll: true });
    apply({ kind: 'change-leader', stream: 's', partition: 0, leader: 'b' });
    apply({ kind: 'shrink-isr', stream: 's', partition: 0, replica: 'b' });
    expect([...metadata.streams()]).toEqual([]);
  });
});

describe('OperationLog', () => {
  it('assigns two indexes to an operation and one to each record of the activity position', () => {
    const log = new OperationLog();
    const operation: Operation = { kind: 'delete-stream', name: 's' };
    expect(log.append(operation)).toBe(5n);
    expect(log.append({ kind: 'activity-published', upTo: 5n })).toBe(6n);
    expect(log.append(operation)).toBe(8n);
    expect(log.end).toBe(3);
  });

  it('discards operations that every broker has applied', () => {
    const log = new OperationLog();
    for (const name of ['a', 'b', 'c']) log.append({ kind: 'delete-stream', name });
    log.forget(2);
    expect(log.end).toBe(3);
    expect(log.at(2)).toEqual({ index: 9n, operation: { kind: 'delete-stream', name: 'c' } });
  });
});

describe('the load that FetchMetadata reports', () => {
  it('decreases with repeated pauses of the same partitions', async () => {
    const { client } = await running({ cursorsPartitions: 0, settings: { 'metadata.cache.max.age': 0 } });
    await client.createStream('other', { partitions: 3 });
    await client.createStream('s', { partitions: 2 });
    const load = async () => (await client.call('fetchMetadata')).brokers[0].partitionCount;
    const loads = [await load()];
    for (let i = 0; i < 3; i++) {
      await client.call('pauseStream', { name: 's', partitions: [], resumeAll: false });
      loads.push(await load());
    }
    expect(loads).toEqual([5, 3, 1, 0]);
  });

  it('is cached for metadata.cache.max.age', async () => {
    const { broker, client } = await running({ cursorsPartitions: 0, settings: { 'metadata.cache.max.age': '2m' } });
    const load = async () => (await client.call('fetchMetadata')).brokers[0].partitionCount;
    expect(await load()).toBe(0);
    await client.createStream('s');
    expect(await load()).toBe(0);
    await broker.clock.advance(120_001);
    expect(await load()).toBe(1);
  });
});

describe('the streams of the server itself', () => {
  it('exist from the start, with the indexes 5 and 8 in the activity stream', async () => {
    const { broker, client } = await running({ activityStream: true, cursorsPartitions: 2 });
    const subscription = client.subscribe('__activity');
    await subscription.count(2);
    // Field 1 of the event is its id.
    expect(broker.messages('__activity').map(({ value }) => [value![0], value![1]])).toEqual([
      [8, 5],
      [8, 8],
    ]);
    const { streamMetadata } = await client.call('fetchMetadata', { streams: ['__cursors', '__activity'] });
    expect(streamMetadata.map(({ subject }: { subject: string }) => subject)).toEqual([
      'liftbridge-default.cursors',
      'liftbridge-default.activity',
    ]);
    subscription.cancel();
  });
});
