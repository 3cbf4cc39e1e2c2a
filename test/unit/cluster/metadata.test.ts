import { describe, expect, it } from 'vitest';
import { runInSlices } from '../../../src/async/cooperative.js';
import { EventHub } from '../../../src/cluster/events.js';
import { NO_METADATA } from '../../../src/cluster/metadata.js';
import type { MetadataAnswer } from '../../../src/cluster/metadata-answer.js';
import { MetadataCache } from '../../../src/cluster/metadata-cache.js';
import { LARGEST_PARTITION, readMetadata } from '../../../src/cluster/metadata-reader.js';
import {
  FetchMetadataResponse,
  type PartitionMetadata,
  type StreamMetadata,
} from '../../../src/protocol/generated/api.js';
import { usedBytes } from '../../support/memory.js';

const BROKERS = [
  { id: 'b1', host: 'one', port: 9292, partitionCount: 3, leaderCount: 2 },
  { id: 'b2', host: '::1', port: 9293, partitionCount: 1, leaderCount: 0 },
];

const partition = (id: number, leader = 'b1', rest: Partial<PartitionMetadata> = {}): PartitionMetadata => ({
  id,
  leader,
  replicas: ['b1', 'b2'],
  isr: ['b2', 'gone'],
  highWatermark: -1n,
  newestOffset: -1n,
  paused: false,
  readonly: false,
  ...rest,
});

const stream = (name: string, partitions: PartitionMetadata[], error: 0 | 1 = 0): StreamMetadata => ({
  name,
  subject: `${name}.subject`,
  error,
  partitions: new Map(partitions.map((info) => [info.id, info])),
  creationTimestamp: 1_700_000_000_123_456_789n,
});

function bytesOf(
  streamMetadata: StreamMetadata[],
  groupMetadata: FetchMetadataResponse['groupMetadata'] = [],
  brokers = BROKERS,
): Buffer {
  return Buffer.from(FetchMetadataResponse.encode({ brokers, streamMetadata, groupMetadata }).finish());
}

const read = (...parts: Parameters<typeof bytesOf>): Promise<MetadataAnswer> =>
  runInSlices(readMetadata(bytesOf(...parts)));

describe('readMetadata', () => {
  it('refuses an answer that names more than any cluster has', async () => {
    const bytes = bytesOf(
      [stream('orders', [partition(0), partition(1)])],
      [{ groupId: 'g', coordinator: 'b1', epoch: 0n, error: 0 }],
    );
    const within = (brokers: number, parts: number) =>
      runInSlices(readMetadata(bytes, null, () => undefined, { brokers, parts }));
    expect((await within(2, 4)).streams.get('orders')?.partitions.size).toBe(2);
    await expect(within(2, 3)).rejects.toThrow('it names more than 3 streams, partitions and groups');
    await expect(within(1, 4)).rejects.toThrow('it names more than 1 brokers');
  });

  it('remembers no more ids of unknown brokers than it may name', async () => {
    const partitions = Array.from({ length: 20 }, (_, id) => partition(id, `stranger-${id}`));
    const bytes = bytesOf([stream('orders', partitions)]);
    const answer = await runInSlices(readMetadata(bytes, null, () => undefined, { brokers: 5, parts: 100 }));
    expect(answer.strangers.size).toBe(5);
  });

  it('refuses a partition with more replicas than fit into a megabyte', async () => {
    const replicas = new Array<string>(LARGEST_PARTITION / 2).fill('');
    await expect(read([stream('orders', [partition(0, 'b1', { replicas })])])).rejects.toThrow(
      /^it has a partition of 1048\d\d\d bytes, more than 1048576$/,
    );
  });

  it('takes no more than eight times the memory of an answer for its lists of replicas', async () => {
    const brokers = [{ id: 'b', host: 'one', port: 9292, partitionCount: 0, leaderCount: 0 }];
    const list = new Array<string>(Math.floor(LARGEST_PARTITION / 3) - 100).fill('b');
    const partitions = Array.from({ length: 16 }, (_, id) => partition(id, 'b', { replicas: list, isr: [] }));
    const bytes = bytesOf([stream('orders', partitions)], [], brokers);
    const before = usedBytes();
    const answer = await runInSlices(readMetadata(bytes));
    expect(answer.streams.get('orders')?.partitions.get(15)?.replicas).toHaveLength(list.length);
    expect(usedBytes() - before).toBeLessThan(8 * bytes.length);
  });

  it('gives brokers, streams and partitions with every accessor, brokers looked up', async () => {
    const times = { firstTimestamp: 1_000_000n, latestTimestamp: 1_700_000_000_000_000_000n };
    const full = partition(1, 'b2', {
      highWatermark: 4n,
      newestOffset: 5n,
      paused: true,
      readonly: true,
      messagesReceivedTimestamps: times,
      pauseTimestamps: { firstTimestamp: 0n, latestTimestamp: 0n },
    });
    const metadata = await read([stream('orders', [full, partition(0)])]);
    expect(metadata.answeredBy).toBe('b1');
    expect([...metadata.brokers.values()].map((broker) => broker.address)).toEqual(['one:9292', '[::1]:9293']);
    const orders = metadata.streams.get('orders')!;
    expect(orders).toMatchObject({ name: 'orders', subject: 'orders.subject', createdAt: new Date(1_700_000_000_123) });
    expect([...orders.partitions.keys()]).toEqual([0, 1]);
    expect(orders.partitions.get(1)).toEqual({
      id: 1,
      leader: metadata.brokers.get('b2'),
      replicas: [metadata.brokers.get('b1'), metadata.brokers.get('b2')],
      isr: [metadata.brokers.get('b2')],
      highWatermark: 4n,
      newestOffset: 5n,
      paused: true,
      readonly: true,
      messagesReceived: { first: new Date(1), latest: new Date(1_700_000_000_000) },
      pauses: { first: null, latest: null },
      readonlyChanges: { first: null, latest: null },
    });
    expect(orders.partitions.get(0)).toMatchObject({ highWatermark: -1n, newestOffset: -1n });
  });

  it('leaves streams and groups out that the cluster does not know', async () => {
    const metadata = await read(
      [stream('no', [], 1), stream('yes', [])],
      [
        { groupId: 'no', error: 1, coordinator: '', epoch: 0n },
        { groupId: 'yes', error: 0, coordinator: 'b1', epoch: 7n },
        { groupId: 'orphan', error: 0, coordinator: 'gone', epoch: 8n },
      ],
    );
    expect([...metadata.streams.keys()]).toEqual(['yes']);
    expect(metadata.groups.get('yes')).toEqual({ id: 'yes', coordinator: metadata.brokers.get('b1'), epoch: 7n });
    expect(metadata.groups.get('orphan')).toMatchObject({ coordinator: null });
    expect(metadata.groups.has('no')).toBe(false);
  });

  it('has no leader where the leader is no known broker', async () => {
    const metadata = await read([stream('s', [partition(0, 'gone'), partition(1, '')])]);
    const partitions = [...metadata.streams.get('s')!.partitions.values()];
    expect(partitions.map((info) => info.leader)).toEqual([null, null]);
  });

  it('cannot be changed', async () => {
    const metadata = await read([stream('s', [partition(0)])]);
    const info = metadata.streams.get('s')!.partitions.get(0)!;
    for (const frozen of [metadata, info, info.isr, info.pauses, metadata.brokers.get('b1')])
      expect(Object.isFrozen(frozen)).toBe(true);
  });

  it.each([
    [
      'one stream',
      () => [
        stream(
          'wide',
          Array.from({ length: 10_000 }, (_, id) => partition(id)),
        ),
      ],
    ],
    ['10,000 streams', () => Array.from({ length: 10_000 }, (_, id) => stream(`s${id}`, [partition(0)]))],
  ])('reads 10,000 partitions of %s in as many steps', async (_name, streams) => {
    const reading = readMetadata(bytesOf(streams()));
    let steps = 0;
    let step = reading.next();
    for (; step.done !== true; step = reading.next()) steps++;
    const partitions = [...step.value.streams.values()].reduce((sum, info) => sum + info.partitions.size, 0);
    expect(partitions).toBe(10_000);
    expect(steps).toBeGreaterThanOrEqual(10_000);
  });
});

describe('a list of brokers that lacks a leader', () => {
  const bytes = (): Buffer => bytesOf([stream('orders', [partition(0, 'b3'), partition(1)])]);
  const remembered = { id: 'b3', host: 'three', port: 9292, address: 'three:9292', leaderCount: 1, partitionCount: 1 };

  it('is made up for by a broker of an earlier list', async () => {
    const answer = await runInSlices(readMetadata(bytes(), null, (id) => (id === 'b3' ? remembered : undefined)));
    expect(answer.streams.get('orders')?.partitions.get(0)?.leader).toBe(remembered);
    expect([...answer.strangers]).toEqual([['gone', false]]);
  });

  it('names the brokers that the client does not know', async () => {
    const answer = await runInSlices(readMetadata(bytes()));
    expect(answer.streams.get('orders')?.partitions.get(0)?.leader).toBeNull();
    expect(answer.strangers).toEqual(
      new Map([
        ['b3', true],
        ['gone', false],
      ]),
    );
  });
});

describe('MetadataCache', () => {
  const setUp = () => {
    const asked: (readonly string[])[] = [];
    const answers: Promise<MetadataAnswer>[] = [];
    const hub = new EventHub();
    const belief = { gone: true, settled: true };
    const cache = new MetadataCache(
      (streams) => {
        asked.push(streams);
        return answers.shift()!;
      },
      { isGone: () => belief.gone, isSettled: () => belief.settled },
      hub,
    );
    return { asked, answers, belief, hub, cache };
  };

  it('shares a fetch that is under way, and asks again after it', async () => {
    const { asked, answers, cache } = setUp();
    answers.push(read([stream('a', [])]), read([stream('a', [])]), read([]));
    await Promise.all([cache.refresh(['a', 'b']), cache.refresh(['b', 'a', 'a']), cache.refresh()]);
    expect(asked).toEqual([['a', 'b'], []]);
    await cache.refresh(['a', 'b']);
    expect(asked).toHaveLength(3);
  });

  it('forgets a fetch that failed', async () => {
    const { answers, cache } = setUp();
    answers.push(Promise.reject(new Error('down')), read([stream('a', [])]));
    await expect(cache.refresh()).rejects.toThrow('down');
    await cache.refresh();
    expect(cache.snapshot.streams.has('a')).toBe(true);
  });

  it('replaces the streams that were asked for and keeps the others', async () => {
    const { answers, cache } = setUp();
    answers.push(read([stream('a', [partition(0)]), stream('b', [partition(0)])]));
    await cache.refresh();
    const before = cache.snapshot;
    answers.push(read([stream('a', [], 1)]));
    await cache.refresh(['a']);
    expect([...before.streams.keys()]).toEqual(['a', 'b']);
    expect([...cache.snapshot.streams.keys()]).toEqual(['b']);
    answers.push(read([stream('c', [partition(0)])]));
    await cache.refresh();
    expect([...cache.snapshot.streams.keys()]).toEqual(['c']);
    expect(cache.version).toBe(3);
  });

  it('keeps a stream that an answer does not name while it is not certain that it is gone', async () => {
    const { answers, belief, cache } = setUp();
    answers.push(read([stream('a', [partition(0), partition(1)])]));
    await cache.refresh();
    belief.gone = false;
    answers.push(read([stream('a', [], 1)]), read([]));
    await cache.refresh(['a']);
    await cache.refresh();
    expect(cache.snapshot.streams.get('a')?.partitions.size).toBe(2);
    belief.gone = true;
    answers.push(read([]));
    await cache.refresh();
    expect(cache.snapshot.streams.has('a')).toBe(false);
  });

  it('keeps a stream for which a recovering broker shows an older one of its name', async () => {
    const { answers, belief, cache } = setUp();
    const older = { ...stream('a', [partition(0)]), creationTimestamp: 1_000_000n };
    answers.push(read([stream('a', [partition(0), partition(1)])]));
    await cache.refresh();
    belief.settled = false;
    answers.push(read([older]));
    await cache.refresh(['a']);
    expect(cache.snapshot.streams.get('a')?.partitions.size).toBe(2);
    belief.settled = true;
    answers.push(read([older]));
    await cache.refresh(['a']);
    expect(cache.snapshot.streams.get('a')?.partitions.size).toBe(1);
  });

  it('does not let an older answer that comes late undo a newer one', async () => {
    const { answers, cache } = setUp();
    let release: (answer: MetadataAnswer) => void = () => undefined;
    answers.push(new Promise((resolve) => (release = resolve)), read([stream('new', [partition(0)])]));
    const old = cache.refresh();
    await cache.refresh(['new']);
    release(await read([stream('other', [])]));
    await old;
    expect([...cache.snapshot.streams.keys()].sort()).toEqual(['new', 'other']);
  });

  it('reports each partition whose leader changed, and only those', async () => {
    const { answers, hub, cache } = setUp();
    const changes: unknown[] = [];
    hub.on('leaderChange', (change) => changes.push(change));
    answers.push(read([stream('a', [partition(0), partition(1), partition(2)]), stream('b', [partition(0)])]));
    await cache.refresh();
    expect(changes).toEqual([]);
    answers.push(read([stream('a', [partition(0), partition(1, 'b2'), partition(2, ''), partition(3)])]));
    await cache.refresh(['a']);
    expect(changes).toEqual([
      { stream: 'a', partition: 1, from: 'b1', to: 'b2' },
      { stream: 'a', partition: 2, from: 'b1', to: null },
    ]);
  });

  it('knows the streams on a subject', async () => {
    const { answers, cache } = setUp();
    answers.push(
      read([
        { ...stream('a', []), subject: 'x' },
        { ...stream('b', []), subject: 'x' },
      ]),
    );
    await cache.refresh();
    expect(cache.streamsOnSubject('x')).toEqual(['a', 'b']);
    expect(cache.streamsOnSubject('y')).toEqual([]);
  });
});

describe('EventHub', () => {
  it('calls listeners until they are taken back', () => {
    const hub = new EventHub();
    const seen: string[] = [];
    const off = hub.on('metadata', () => seen.push('one'));
    hub.on('metadata', () => seen.push('two'));
    hub.emit('metadata', NO_METADATA);
    off();
    hub.emit('metadata', NO_METADATA);
    hub.clear();
    hub.emit('metadata', NO_METADATA);
    expect(seen).toEqual(['one', 'two', 'two']);
  });
});
