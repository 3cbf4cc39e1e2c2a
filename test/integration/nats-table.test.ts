import { readFileSync } from 'node:fs';
import { type Client, connect, type Message } from 'liftbridge-client';
import { decodeAck, encodeMessage } from 'liftbridge-client/envelope';
import { natsPublisher } from 'liftbridge-client/nats';
import { TestBroker } from 'liftbridge-test-broker';
import { connect as connectNats, createInbox, type NatsConnection, headers as natsHeaders } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { natsServerPath, type RunningServer, startNatsServer } from './nats-servers.js';

/** A message as a subscriber receives it, decoded to text. */
interface ReadMessage {
  readonly key: string;
  readonly value: string;
  readonly subject: string;
  readonly replySubject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly offset: bigint;
  readonly partition: number;
}

interface World {
  readonly broker: TestBroker;
  readonly nats: NatsConnection;
  readonly client: Client;
  /** The first `count` messages of a partition; waits for messages that have not arrived yet. */
  take(stream: string, count: number, partition?: number): Promise<ReadMessage[]>;
  /** A name that no other row uses. */
  name(): string;
  /** A new stream on a new subject of the same name. */
  stream(): Promise<string>;
  stop(): Promise<void>;
}

async function start(server: RunningServer | null): Promise<World> {
  const broker = await TestBroker.start({ nats: server?.url ?? true });
  const nats = await connectNats({ servers: server?.url ?? broker.natsUrl ?? '' });
  const client = await connect(broker.addresses);
  let count = 0;
  const name = () => `s${++count}`;
  return {
    ...{ broker, nats, client, name },
    take: (stream, count, partition = 0) => take(client, stream, count, partition),
    stream: async () => {
      const fresh = name();
      await client.createStream(fresh, fresh);
      return fresh;
    },
    stop: async () => {
      await nats.close();
      await client.close();
      await broker.close();
      await server?.stop();
    },
  };
}

async function take(client: Client, stream: string, count: number, partition: number): Promise<ReadMessage[]> {
  const messages: ReadMessage[] = [];
  for await (const message of await client.subscribe(stream, { partition, startAt: 'earliest' })) {
    messages.push(asText(message));
    if (messages.length === count) break;
  }
  return messages;
}

function asText(message: Message): ReadMessage {
  const { subject, replySubject, offset, partition } = message;
  const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, value.toString()]));
  return {
    key: message.key?.toString() ?? '',
    value: message.text(),
    subject,
    replySubject,
    headers,
    offset,
    partition,
  };
}

/** The headers that a broker adds to a message. */
const added = (subject: string, reply = '') => ({ subject, reply });
const options = { key: 'k', headers: { h: 'v' } } as const;
const enveloped = (subject: string) => ({ key: 'k', value: 'value', subject, headers: { h: 'v', ...added(subject) } });

/** The message that a subscriber receives for each way of publishing: one check for each row of the table in docs/nats.md. */
const rows: Readonly<Record<string, (world: World) => Promise<void>>> = {
  raw: async ({ nats, stream, take }) => {
    const name = await stream();
    nats.publish(name, 'value');
    expect(await take(name, 1)).toMatchObject([{ key: '', value: 'value', subject: name, replySubject: '' }]);
    expect((await take(name, 1))[0]?.headers).toEqual(added(name));
  },

  'raw, empty': async ({ nats, stream, take }) => {
    const name = await stream();
    nats.publish(name);
    expect(await take(name, 1)).toMatchObject([{ key: '', value: '', subject: name }]);
  },

  'raw, with a reply subject': async ({ nats, stream, take }) => {
    const name = await stream();
    nats.publish(name, 'value', { reply: 'answers.here' });
    const [message] = await take(name, 1);
    expect(message).toMatchObject({ value: 'value', replySubject: 'answers.here' });
    expect(message?.headers).toEqual(added(name, 'answers.here'));
  },

  'raw, with NATS headers': async ({ nats, stream, take }) => {
    const name = await stream();
    const headers = natsHeaders();
    headers.set('X-Trace', '1');
    nats.publish(name, 'value', { headers });
    const [message] = await take(name, 1);
    expect(message?.value).toBe('value');
    expect(message?.headers).toEqual(added(name));
  },

  enveloped: async ({ nats, stream, take }) => {
    const name = await stream();
    nats.publish(name, encodeMessage('value', options));
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
  },

  'enveloped, with a checksum': async ({ nats, stream, take }) => {
    const name = await stream();
    nats.publish(name, encodeMessage('value', { ...options, checksum: true }));
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
  },

  'enveloped, damaged on the way': async ({ nats, stream, broker, take }) => {
    const name = await stream();
    const envelope = encodeMessage('value', { ...options, checksum: true });
    envelope[envelope.length - 1]! ^= 1;
    nats.publish(name, envelope);
    const [message] = await take(name, 1);
    expect([message?.key, message?.headers]).toEqual(['', added(name)]);
    expect(Buffer.from(broker.messages(name)[0]?.value ?? '').equals(envelope)).toBe(true);
  },

  'by natsPublisher': async ({ nats, stream, take }) => {
    const name = await stream();
    const publisher = natsPublisher(nats);
    const acks = await publisher.publish(name, 'value', { ...options, ackPolicy: 'all' });
    expect(acks).toMatchObject([{ stream: name, offset: 0n, messageSubject: name, ackPolicy: 'all', error: 'ok' }]);
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
    await publisher.close();
  },

  'by natsPublisher, refused by the stream': async ({ client, nats, name, take }) => {
    const strict = name();
    await client.createStream(strict, strict, { optimisticConcurrencyControl: true });
    const publisher = natsPublisher(nats);
    const refused = publisher.publish(strict, 'value', { expectedOffset: 7 });
    await expect(refused).rejects.toMatchObject({ code: 'INCORRECT_OFFSET', stream: strict });
    expect(await publisher.publish(strict, 'first', { expectedOffset: 0 })).toMatchObject([{ offset: 0n }]);
    expect(await take(strict, 1)).toMatchObject([{ value: 'first', offset: 0n }]);
    await publisher.close();
  },

  'by natsPublisher, refused by one of two streams': async ({ client, nats, name, take }) => {
    const [subject, strict, other] = [name(), name(), name()];
    await client.createStream(subject, strict, { optimisticConcurrencyControl: true });
    await client.createStream(subject, other);
    const publisher = natsPublisher(nats);
    const refused = publisher.publish(subject, 'value', { ...options, expectedOffset: 7, acks: 2 });
    await expect(refused).rejects.toMatchObject({
      code: 'INCORRECT_OFFSET',
      stream: strict,
      otherAcks: [{ stream: other, error: 'ok', offset: 0n }],
    });
    expect((await take(other, 1))[0]).toMatchObject(enveloped(subject));
    await publisher.close();
  },

  'by natsPublisher, to a paused partition': async ({ client, nats, stream, take }) => {
    const name = await stream();
    await client.pauseStream(name);
    const publisher = natsPublisher(nats, { timeout: 300 });
    await expect(publisher.publish(name, 'lost')).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
      message: expect.stringContaining('does not resume a paused one'),
    });
    // Only a publish through the API resumes the partition.
    expect(await client.publish(name, 'value', options)).toMatchObject({ offset: 0n });
    expect(await publisher.publish(name, 'next', { timeout: 10_000 })).toMatchObject([{ offset: 1n }]);
    expect(await take(name, 2)).toMatchObject([enveloped(name), { value: 'next' }]);
    await publisher.close();
  },

  'by natsPublisher, to a readonly partition': async ({ client, nats, stream, take }) => {
    const name = await stream();
    await client.setStreamReadonly(name);
    const publisher = natsPublisher(nats, { timeout: 300 });
    await expect(publisher.publish(name, 'lost')).rejects.toMatchObject({ code: 'ACK_TIMEOUT', otherAcks: [] });
    await client.setStreamReadonly(name, { readonly: false });
    expect(await publisher.publish(name, 'value', { ...options, timeout: 10_000 })).toMatchObject([{ offset: 0n }]);
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
    await publisher.close();
  },

  'by API': async ({ client, stream, take }) => {
    const name = await stream();
    const ack = await client.publish(name, 'value', options);
    expect(ack).toMatchObject({ stream: name, offset: 0n });
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
  },

  'by subject (`publishToSubject`)': async ({ client, stream, take }) => {
    const name = await stream();
    const ack = await client.publishToSubject(name, 'value', options);
    expect(ack).toMatchObject({ stream: name, offset: 0n });
    expect((await take(name, 1))[0]).toMatchObject(enveloped(name));
  },

  'to the subject of a partition': async ({ client, nats, name, take }) => {
    const wide = name();
    await client.createStream(wide, wide, { partitions: 2 });
    const publisher = natsPublisher(nats);
    expect(await publisher.publish(`${wide}.1`, 'value', options)).toMatchObject([
      { stream: wide, messageSubject: `${wide}.1`, partitionSubject: wide },
    ]);
    expect((await take(wide, 1, 1))[0]).toMatchObject({ ...enveloped(`${wide}.1`), partition: 1 });
    await publisher.close();
  },

  'to a subject that a wildcard stream covers': async ({ client, nats, name, take }) => {
    const wild = name();
    await client.createStream(`${wild}.*`, wild);
    const publisher = natsPublisher(nats);
    expect(await publisher.publish(`${wild}.x`, 'value', options)).toMatchObject([
      { stream: wild, messageSubject: `${wild}.x`, partitionSubject: `${wild}.*` },
    ]);
    nats.publish(`${wild}.y`, 'raw');
    const read = await take(wild, 2);
    expect(read[0]).toMatchObject(enveloped(`${wild}.x`));
    expect(read[1]).toMatchObject({ value: 'raw', subject: `${wild}.y`, headers: added(`${wild}.y`) });
    await publisher.close();
  },

  'by API, to a wildcard stream': async ({ client, name, take }) => {
    const wild = name();
    await client.createStream(`${wild}.*`, wild);
    expect(await client.publish(wild, 'value', options)).toMatchObject({ stream: wild, messageSubject: `${wild}.*` });
    expect((await take(wild, 1))[0]).toMatchObject(enveloped(`${wild}.*`));
  },

  'to a subject of two streams': async ({ client, nats, name, take }) => {
    const [subject, one, two] = [name(), name(), name()];
    await client.createStream(subject, one);
    await client.createStream(subject, two);
    const publisher = natsPublisher(nats);
    const acks = await publisher.publish(subject, 'value', { ...options, acks: 2 });
    expect(acks.map((ack) => ack.stream).sort()).toEqual([one, two].sort());
    for (const stream of [one, two]) expect((await take(stream, 1))[0]).toMatchObject(enveloped(subject));
    await publisher.close();
  },

  'to a load-balance group of two streams': async ({ client, nats, name, broker, take }) => {
    const [subject, one, two] = [name(), name(), name()];
    await client.createStream(subject, one, { group: 'pool' });
    await client.createStream(subject, two, { group: 'pool' });
    const publisher = natsPublisher(nats);
    const publishes = Array.from({ length: 40 }, () => publisher.publish(subject, 'value', options));
    const takers = (await Promise.all(publishes)).map((acks) => acks[0]?.stream);
    const counts = [one, two].map((stream) => takers.filter((taker) => taker === stream).length);
    expect(counts[0]! + counts[1]!).toBe(40);
    expect([one, two].map((stream) => broker.messages(stream).length)).toEqual(counts);
    const taker = takers[0]!;
    expect((await take(taker, 1))[0]).toMatchObject(enveloped(subject));
    await publisher.close();
  },

  'to a group and a stream outside of it': async ({ client, nats, name, broker, take }) => {
    const [subject, one, two, outside] = [name(), name(), name(), name()];
    await client.createStream(subject, one, { group: 'pool' });
    await client.createStream(subject, two, { group: 'pool' });
    await client.createStream(subject, outside);
    const publisher = natsPublisher(nats);
    const acks = await publisher.publish(subject, 'value', { ...options, acks: 2 });
    const stored = acks.map((ack) => ack.stream);
    expect(stored).toContain(outside);
    const missed = [one, two].filter((stream) => !stored.includes(stream));
    expect(missed).toHaveLength(1);
    expect(broker.messages(missed[0]!)).toEqual([]);
    for (const stream of stored) expect((await take(stream, 1))[0]).toMatchObject(enveloped(subject));
    await publisher.close();
  },
};

describe('docs/nats.md', () => {
  it('has a row for each test, and a test for each row', () => {
    const text = readFileSync(new URL('../../docs/nats.md', import.meta.url), 'utf8');
    const table = text.slice(text.indexOf('| published |')).split('\n\n')[0]!.split('\n').slice(2);
    expect(table.map((row) => row.split('|')[1]?.trim())).toEqual(Object.keys(rows));
  });
});

const worlds = [
  ['the embedded listener', async () => null, false],
  ['a real nats-server', startNatsServer, natsServerPath === null],
] as const;

for (const [where, server, missing] of worlds) {
  describe.skipIf(missing)(`a subscriber, with ${where},`, () => {
    let world: World;
    beforeAll(async () => {
      world = await start(await server());
    });
    afterAll(() => world.stop());

    it.each(Object.entries(rows))('receives a message that is published %s', (_row, check) => check(world));

    it('receives an ack at its own inbox for an enveloped message, and no ack for a raw message', async () => {
      const { nats, take } = world;
      const name = await world.stream();
      const ackInbox = createInbox();
      const inbox = nats.subscribe(ackInbox);
      nats.publish(name, 'raw', { reply: ackInbox });
      nats.publish(name, encodeMessage('value', { ackInbox, correlationId: '7' }));
      await take(name, 2);
      const publisher = natsPublisher(nats);
      await publisher.publish(name, 'last');
      await publisher.close();
      await inbox.drain();
      const acks = [];
      for await (const message of inbox) acks.push(decodeAck(message.data));
      expect(acks).toMatchObject([{ stream: name, offset: 1n, correlationId: '7' }]);
    });
  });
}
