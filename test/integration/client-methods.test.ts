import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Ack,
  type ActivityEvent,
  type Client,
  connect,
  type LiftbridgeError,
  partitionByKey,
} from '../../src/index.js';
import { openCluster, type TestCluster, uniqueName } from '../support/cluster.js';
import { PATIENT } from '../support/patient.js';

describe.each([1, 3])('Client on a cluster of %i', (brokers) => {
  let cluster: TestCluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await openCluster(brokers);
    client = await connect(cluster.addresses, PATIENT);
  });

  afterAll(async () => {
    await client?.close();
    await cluster?.close();
  });

  const created = async (options: Parameters<Client['createStream']>[2] = {}): Promise<string> => {
    const name = uniqueName();
    await client.createStream(name, name, { replicationFactor: 'max', ...options });
    return name;
  };

  /** The other brokers apply a change a moment after the called broker has responded. */
  const applied = (look: () => Promise<boolean>): Promise<void> => expect.poll(look).toBe(true);

  it('createStream creates a stream whose partitions are usable immediately', async () => {
    const name = await created({ partitions: 3 });
    for (const partition of [0, 1, 2])
      expect(await client.publish(name, 'x', { partition })).toMatchObject({ offset: 0n });
    const info = client.metadata.streams.get(name);
    expect(info?.partitions.size).toBe(3);
    expect(info?.partitions.get(0)?.replicas).toHaveLength(brokers);
  });

  it('createStream rejects with STREAM_EXISTS when the name is taken', async () => {
    const name = await created();
    await expect(client.createStream('other.subject', name)).rejects.toMatchObject({
      code: 'STREAM_EXISTS',
      stream: name,
      retryable: false,
    });
  });

  it('createStream rejects with INVALID_ARGUMENT when there are not enough brokers', async () => {
    await expect(client.createStream('a', uniqueName(), { replicationFactor: 9 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('deleteStream removes a stream, and rejects with NO_SUCH_STREAM afterwards', async () => {
    const name = await created();
    await client.deleteStream(name);
    await expect(client.deleteStream(name)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: name });
    expect(client.metadata.streams.has(name)).toBe(false);
    await applied(async () => !(await client.fetchMetadata({ streams: [name] })).streams.has(name));
  });

  it('pauseStream pauses the named partition, which a publish resumes', async () => {
    const name = await created({ partitions: 2 });
    await client.pauseStream(name, { partitions: [1] });
    const refusal = () =>
      client.fetchPartitionMetadata(name, 1).then(
        () => null,
        (error: LiftbridgeError) => error.code,
      );
    await applied(async () => (await refusal()) === 'PARTITION_PAUSED');
    expect(await client.fetchPartitionMetadata(name, 0)).toMatchObject({ id: 0 });
    await client.publish(name, 'wake up', { partition: 1 });
    expect(await client.fetchPartitionMetadata(name, 1)).toMatchObject({ newestOffset: 0n });
  });

  it('pauseStream and setStreamReadonly reject with NO_SUCH_PARTITION', async () => {
    const name = await created();
    const expected = { code: 'NO_SUCH_PARTITION', stream: name };
    await expect(client.pauseStream(name, { partitions: [7] })).rejects.toMatchObject(expected);
    await expect(client.setStreamReadonly(name, { partitions: [7] })).rejects.toMatchObject(expected);
    await expect(client.setStreamReadonly(uniqueName())).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });

  it('setStreamReadonly closes a stream for publishes and opens it again', async () => {
    const name = await created();
    await client.setStreamReadonly(name);
    await applied(async () => (await client.fetchPartitionMetadata(name, 0)).readonly);
    await expect(client.publish(name, 'x')).rejects.toMatchObject({ code: 'READONLY_PARTITION' });
    await client.setStreamReadonly(name, { readonly: false });
    await applied(async () => !(await client.fetchPartitionMetadata(name, 0)).readonly);
    expect((await client.fetchPartitionMetadata(name, 0)).readonlyChanges.latest).toBeInstanceOf(Date);
    expect(await client.publish(name, 'x')).toMatchObject({ offset: 0n });
  });

  it('publish, publishAsync and publishAll return the acks of their messages', async () => {
    const name = await created();
    expect(await client.publish(name, 'one', { key: 'k', headers: { h: 'v' } })).toMatchObject({
      stream: name,
      offset: 0n,
    });
    expect(await client.publish(name, 'two', { ackPolicy: 'none' })).toBeNull();
    const acked = await new Promise<Ack | null>((resolve, reject) => {
      client.publishAsync(name, 'three', (error, ack) => (error ? reject(error) : resolve(ack)));
    });
    expect(acked).toMatchObject({ offset: 2n });
    const offsets: bigint[] = [];
    for await (const ack of client.publishAll(name, ['four', 'five'])) offsets.push(ack.offset);
    expect(offsets).toEqual([3n, 4n]);
  });

  it('publishToSubject publishes to the stream on the subject, and to the partition that the partitioner chooses', async () => {
    const name = await created({ partitions: 2 });
    expect(await client.publishToSubject(name, 'x')).toMatchObject({ stream: name, offset: 0n });
    const ack = await client.publishToSubject(name, 'x', { key: 'foobarbazqux', partitioner: partitionByKey });
    expect(ack).toMatchObject({ messageSubject: `${name}.1` });
  });

  it('publishToSubject rejects with ACK_TIMEOUT when no stream is on the subject', async () => {
    await expect(client.publishToSubject(uniqueName('unused'), 'x', { timeout: 200 })).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
    });
  });

  it('subscribe reads the published messages from the beginning to the end', async () => {
    const name = await created();
    for await (const _ack of client.publishAll(name, ['a', 'b', 'c'], { ackPolicy: 'all' }));
    const subscription = await client.subscribe(name, { startAt: 'earliest', stopAt: 'latest' });
    const texts: string[] = [];
    for await (const message of subscription) texts.push(message.text());
    expect(texts).toEqual(['a', 'b', 'c']);
  });

  it('subscribe continues after a stored cursor', async () => {
    const name = await created();
    for await (const _ack of client.publishAll(name, ['a', 'b', 'c'], { ackPolicy: 'all' }));
    await client.setCursor('reader', name, 0, 0n);
    const subscription = await client.subscribe(name, { startAt: { cursor: 'reader' }, stopAt: 'latest' });
    const texts: string[] = [];
    for await (const message of subscription) texts.push(message.text());
    expect(texts).toEqual(['b', 'c']);
  });

  it('fetchMetadata returns brokers, streams and partitions, and omits unknown ones', async () => {
    const before = Date.now();
    const name = await created({ partitions: 2 });
    const metadata = await client.fetchMetadata({ streams: [name, 'unknown'], groups: ['unknown'] });
    if (cluster.broker !== null)
      expect([...metadata.brokers.values()].map(({ address }) => address).sort()).toEqual(
        [...cluster.addresses].sort(),
      );
    expect([...metadata.streams.keys()]).toEqual([name]);
    expect(metadata.groups.size).toBe(0);
    const info = metadata.streams.get(name)!;
    expect(info).toMatchObject({ name, subject: name });
    if (cluster.broker !== null) {
      // The broker's timestamps in nanoseconds start at a whole millisecond.
      expect(info.createdAt.getTime()).toBeGreaterThanOrEqual(before - 1);
      expect(info.createdAt.getTime()).toBeLessThanOrEqual(Date.now());
    }
    for (const partition of info.partitions.values()) {
      expect(partition.isr).toContain(partition.leader);
      expect(metadata.brokers.get(partition.leader!.id)).toBe(partition.leader);
    }
  });

  it('fetchPartitionMetadata returns the exact offsets', async () => {
    const name = await created();
    expect(await client.fetchPartitionMetadata(name, 0)).toMatchObject({
      highWatermark: -1n,
      newestOffset: -1n,
      messagesReceived: { first: null, latest: null },
    });
    await client.publish(name, 'x', { ackPolicy: 'all' });
    const after = await client.fetchPartitionMetadata(name, 0);
    expect(after).toMatchObject({ id: 0, highWatermark: 0n, newestOffset: 0n, paused: false, readonly: false });
    expect(after.messagesReceived.first).toBeInstanceOf(Date);
    await expect(client.fetchPartitionMetadata(name, 5)).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
    await expect(client.fetchPartitionMetadata(uniqueName(), 0)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
  });

  it('setCursor stores the offset that fetchCursor reads, in every partition of the cursors stream', async () => {
    const name = uniqueName();
    for (let i = 0; i < 12; i++) await client.setCursor(`cursor-${i}`, name, i, BigInt(i));
    for (let i = 0; i < 12; i++) expect(await client.fetchCursor(`cursor-${i}`, name, i)).toBe(BigInt(i));
    await client.setCursor('cursor-5', name, 5, 2);
    expect(await client.fetchCursor('cursor-5', name, 5)).toBe(2n);
    expect(await client.fetchCursor('none', name, 0)).toBe(-1n);
  });

  it('fetchCursor works while the cursors stream is paused', async () => {
    const name = uniqueName();
    await client.setCursor('sleepy', name, 0, 4n);
    await client.pauseStream('__cursors');
    expect(await client.fetchCursor('sleepy', name, 0)).toBe(4n);
    await client.setCursor('sleepy', name, 0, 5n);
    expect(await client.fetchCursor('sleepy', name, 0)).toBe(5n);
  });

  it('activity returns the decoded events of streams', async () => {
    const name = uniqueName();
    const events: ActivityEvent[] = [];
    const feed = await client.activity({ startAt: 'earliest' });
    await client.createStream(name, name, { partitions: 2 });
    await client.pauseStream(name, { partitions: [1] });
    await client.deleteStream(name);
    for await (const event of feed) {
      if (!('stream' in event) || event.stream !== name) continue;
      events.push(event);
      if (event.op === 'delete-stream') break;
    }
    expect(events.map(({ op }) => op)).toEqual(['create-stream', 'pause-stream', 'delete-stream']);
    expect(events[1]).toMatchObject({ partitions: [1], resumeAll: false });
    expect(events.every((event, i) => i === 0 || event.id > events[i - 1]!.id)).toBe(true);
  });

  it('ping measures a round trip', async () => {
    expect(await client.ping()).toBeGreaterThan(0);
  });

  it('flush resolves when all previous publishes are acknowledged', async () => {
    const name = await created();
    let acked = 0;
    for (let i = 0; i < 100; i++) client.publishAsync(name, `${i}`, (error) => error === null && acked++);
    await client.flush();
    expect(acked).toBe(100);
  });
});
