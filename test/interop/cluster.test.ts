import {
  type Client,
  type Consumer,
  CursorsDisabledError,
  connect,
  type LiftbridgeError,
  type Message,
  type SubscribeOptions,
} from 'liftbridge-client';
import { natsPublisher } from 'liftbridge-client/nats';
import { TestBroker } from 'liftbridge-test-broker';
import { connect as connectNats } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueName } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';

const given = process.env.LIFTBRIDGE_ADDRESSES?.split(',').filter((address) => address !== '') ?? [];
const isReal = given.length > 0;
const where = isReal
  ? given.join(', ')
  : 'three bundled brokers; LIFTBRIDGE_ADDRESSES and NATS_URL name a real cluster';

describe(`a client on a cluster (${where})`, () => {
  let broker: TestBroker | null = null;
  let client: Client;
  let natsUrl: string | null;
  let replicas: number;
  const created: string[] = [];

  beforeAll(async () => {
    if (!isReal) broker = await TestBroker.start({ brokers: 3, nats: true, cursorsPartitions: 3 });
    client = await connect(broker?.addresses ?? given, PATIENT);
    natsUrl = broker?.natsUrl ?? process.env.NATS_URL ?? null;
    replicas = (await client.fetchMetadata()).brokers.size;
  });
  afterAll(async () => {
    for (const stream of created) await client.deleteStream(stream);
    await client.close();
    await broker?.close();
  });

  async function newStream(partitions = 1): Promise<string> {
    const stream = uniqueName('interop');
    await client.createStream(stream, stream, { partitions, replicationFactor: 'max' });
    created.push(stream);
    return stream;
  }

  /** A stream that holds 0 to 9; answers its messages with it. */
  async function filled(): Promise<{ stream: string; messages: Message[] }> {
    const stream = await newStream();
    for (let n = 0; n < 10; n++) await client.publish(stream, String(n), { ackPolicy: 'all' });
    const messages: Message[] = [];
    for await (const message of await client.subscribe(stream, { startAt: 'earliest', stopAt: 'latest' }))
      messages.push(message);
    return { stream, messages };
  }

  async function read(stream: string, options: SubscribeOptions, count: number): Promise<string> {
    let values = '';
    for await (const message of await client.subscribe(stream, { timeout: 10_000, ...options })) {
      values += message.text();
      if (values.length === count) break;
    }
    return values;
  }

  it('creates a stream on every broker, refuses it twice, and deletes it', async () => {
    const stream = uniqueName('interop');
    await client.createStream(`${stream}.subject`, stream, { partitions: 2, replicationFactor: 'max' });
    await expect(client.createStream(`${stream}.subject`, stream)).rejects.toMatchObject({ code: 'STREAM_EXISTS' });
    // Any broker may answer, and learns of the stream a little later than the one that created it.
    const info = await eventually('the stream is known', async () =>
      (await client.fetchMetadata()).streams.get(stream),
    );
    expect([info.subject, info.partitions.size]).toEqual([`${stream}.subject`, 2]);
    for (const partition of info.partitions.values()) expect(partition.replicas).toHaveLength(replicas);
    await client.deleteStream(stream);
    await eventually('the stream is gone', async () => !(await client.fetchMetadata()).streams.has(stream));
    await expect(client.publish(stream, 'x')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
  });

  it.each(['leader', 'all', 'none'] as const)('publishes with the ack policy %s', async (ackPolicy) => {
    const stream = await newStream();
    const ack = await client.publish(stream, 'v', { ackPolicy, key: 'k', headers: { color: 'red' } });
    if (ackPolicy === 'none') expect(ack).toBeNull();
    else expect(ack).toMatchObject({ stream, offset: 0n, ackPolicy, error: 'ok' });
    const [message] = await firstOf(await client.subscribe(stream, { startAt: 'earliest' }));
    expect([message!.text(), message!.key!.toString(), message!.headers.color!.toString()]).toEqual(['v', 'k', 'red']);
  });

  it('publishes to a subject, to partitions by key, and many at once in order', async () => {
    const stream = await newStream(3);
    await client.publishToSubject(stream, 'by subject');
    const keyed = await client.publish(stream, 'by key', { key: 'k', partition: 2 });
    expect(keyed!.offset).toBe(0n);
    const offsets: bigint[] = [];
    const source = Array.from({ length: 500 }, (_, n) => String(n));
    for await (const ack of client.publishAll(stream, source, { partition: 1 })) offsets.push(ack.offset);
    expect(offsets).toEqual(source.map((n) => BigInt(n)));
  });

  it('subscribes from each position', async () => {
    const { stream, messages } = await filled();
    expect(await read(stream, { startAt: 'earliest' }, 10)).toBe('0123456789');
    expect(await read(stream, { startAt: 'latest' }, 1)).toBe('9');
    expect(await read(stream, { startAt: { offset: 7 } }, 3)).toBe('789');
    expect(await read(stream, { startAt: { time: messages[4]!.timestamp } }, 6)).toBe('456789');
    expect(await read(stream, { startAt: { ago: 60_000 } }, 10)).toBe('0123456789');
    expect(await read(stream, { startAt: 'earliest', readIsrReplica: true }, 10)).toBe('0123456789');
    const fresh = await client.subscribe(stream);
    await client.publish(stream, 'n');
    expect((await firstOf(fresh))[0]!.text()).toBe('n');
  });

  it('reads up to the stop position, and backwards', async () => {
    const { stream, messages } = await filled();
    expect(await read(stream, { startAt: 'earliest', stopAt: { offset: 3 } }, 99)).toBe('0123');
    expect(await read(stream, { startAt: 'earliest', stopAt: { time: messages[5]!.timestamp } }, 99)).toBe('012345');
    expect(await read(stream, { startAt: { offset: 5 }, stopAt: 'latest' }, 99)).toBe('56789');
    expect(await read(stream, { reverse: true }, 99)).toBe('9876543210');
  });

  it('stores cursors and continues after them', async ({ skip }) => {
    const { stream } = await filled();
    const unset = await client.fetchCursor('reader', stream, 0).catch((error: unknown) => error);
    skip(unset instanceof CursorsDisabledError, 'the cluster has no cursors stream');
    expect(unset).toBe(-1n);
    await client.setCursor('reader', stream, 0, 6);
    expect(await client.fetchCursor('reader', stream, 0)).toBe(6n);
    expect(await read(stream, { startAt: { cursor: 'reader' } }, 3)).toBe('789');
  });

  it('shares partitions in a consumer group, and continues where another member stopped', async ({ skip }) => {
    const stream = await newStream(2);
    const hasCursors = await client.fetchCursor('any', stream, 0).then(
      () => true,
      (error: unknown) => !(error instanceof CursorsDisabledError),
    );
    skip(!hasCursors, 'the cluster has no cursors stream');
    for (const partition of [0, 1]) await client.publish(stream, `first ${partition}`, { partition, ackPolicy: 'all' });
    const group = uniqueName('group');
    const first = client.createConsumer(group, { autoOffset: 'earliest' });
    expect(await consume(first, stream, 2)).toEqual(['first 0', 'first 1']);
    await eventually('the group is known', async () =>
      (await client.fetchMetadata({ groups: [group] })).groups.has(group),
    );
    await first.close();
    for (const partition of [0, 1]) await client.publish(stream, `then ${partition}`, { partition, ackPolicy: 'all' });
    const second = client.createConsumer(group, { autoOffset: 'earliest' });
    expect(await consume(second, stream, 2)).toEqual(['then 0', 'then 1']);
    await second.close();
  });

  it('returns leaders, offsets and the paused and readonly states in the metadata', async () => {
    const { stream } = await filled();
    const partition = await client.fetchPartitionMetadata(stream, 0);
    expect(partition.leader).not.toBeNull();
    expect(partition).toMatchObject({ newestOffset: 9n, highWatermark: 9n, paused: false, readonly: false });
    expect(partition.isr).toHaveLength(replicas);
    await client.setStreamReadonly(stream);
    // The leader learns of it a little later than the broker that answered.
    const code = (): Promise<string> =>
      client.publish(stream, 'x').then(
        () => 'stored',
        (error: LiftbridgeError) => error.code,
      );
    await expect.poll(code).toBe('READONLY_PARTITION');
    await client.setStreamReadonly(stream, { readonly: false });
    await expect.poll(code).toBe('stored');
    await client.pauseStream(stream);
    const paused = async (): Promise<boolean | undefined> =>
      (await client.fetchMetadata({ streams: [stream] })).streams.get(stream)?.partitions.get(0)?.paused;
    await expect.poll(paused).toBe(true);
    // The server still reports a resumed partition as paused. It is resumed when it accepts messages.
    expect(await code()).toBe('stored');
  });

  it('stores messages from NATS, and acknowledges them there', async ({ skip }) => {
    skip(natsUrl === null, 'NATS_URL is not given');
    const stream = await newStream();
    const connection = await connectNats({ servers: natsUrl! });
    const publisher = natsPublisher(connection);
    const [ack] = await publisher.publish(stream, 'over NATS', { key: 'k' });
    expect(ack).toMatchObject({ stream, offset: 0n });
    connection.publish(stream, 'raw');
    expect(await read(stream, { startAt: 'earliest' }, 12)).toBe('over NATSraw');
    await publisher.close();
    await connection.close();
  });
});

/** The next messages of a consumer, sorted; all of them count as processed. */
async function consume(consumer: Consumer, stream: string, count: number): Promise<string[]> {
  const values: string[] = [];
  for await (const message of await consumer.subscribe([stream])) {
    values.push(message.text());
    // The loop's next question is what makes the last one processed; closing ends the loop at that question.
    if (values.length === count) setImmediate(() => void consumer.close());
  }
  return values.sort();
}

/** The first message of a subscription, which is closed then. */
async function firstOf(messages: AsyncIterable<Message>): Promise<Message[]> {
  for await (const message of messages) return [message];
  return [];
}
