import { inspect } from 'node:util';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type Message } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

let broker: TestBroker;
let client: Client;

beforeEach(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 1 });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', { partitions: 2 });
});

afterEach(async () => {
  await client.close();
  await broker.close();
});

async function read(count: number, partition: number): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of await client.subscribe('orders', { startAt: 'earliest', partition })) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

const FIELDS = [
  ...['stream', 'partition', 'offset', 'timestamp', 'subject', 'replySubject', 'key', 'value'],
  ...['ackInbox', 'correlationId', 'ackPolicy'],
];

describe('a message of a subscription', () => {
  it('has the documented fields as own properties, and no others', async () => {
    await client.publish('orders', 'tea', { key: 'k', headers: { trace: 'abc' }, partition: 1 });
    const [message] = await read(1, 1);
    expect(Object.keys(message!)).toEqual(FIELDS);
    expect({ ...message }).toEqual({
      ...{ stream: 'orders', partition: 1, offset: 0n, timestamp: message!.timestamp, subject: 'orders.1' },
      ...{ replySubject: message!.replySubject, key: Buffer.from('k'), value: Buffer.from('tea') },
      ...{ ackInbox: '', correlationId: '', ackPolicy: 'leader' },
    });
    expect(message).toMatchObject({ headers: { trace: Buffer.from('abc') }, time: expect.any(Date) });
  });

  it('equals the message that the test broker has stored', async () => {
    for (const value of ['tea', null, 'milk']) await client.publish('orders', value, { key: 'k', headers: { a: 'b' } });
    const messages = await read(3, 0);
    expect(broker.messages('orders')).toEqual(messages);
    expect(broker.messages('orders')[2]).toEqual(messages[2]);
    expect(broker.messages('orders').map(({ headers }) => headers)).toEqual(messages.map(({ headers }) => headers));
    expect(broker.messages('orders')[0]).not.toEqual(messages[1]);
    expect(broker.messages('orders', 1)).toEqual([]);
  });

  it('becomes a plain object with toObject, including headers and time', async () => {
    await client.publish('orders', 'tea', { key: 'k', headers: { trace: 'abc' } });
    const [message] = await read(1, 0);
    const object = message!.toObject();
    expect(object).toStrictEqual({
      ...{ ...message, headers: { ...message!.headers }, time: message!.time },
    });
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
    expect(object.value!.buffer.byteLength).toBe(3);
    expect(object.headers.trace!.buffer.byteLength).toBe(3);
    message!.value!.fill(0);
    expect(object.value!.toString()).toBe('tea');
    const clone = structuredClone(object);
    expect(Buffer.from(clone.value!).toString()).toBe('tea');
    expect(clone.time).toEqual(message!.time);
  });
});

describe('console.log', () => {
  const shown = (value: unknown): string => inspect(value, { breakLength: Number.POSITIVE_INFINITY });

  it('of a client shows its connections and its activity', async () => {
    const subscription = await client.subscribe('orders');
    await expect
      .poll(() => shown(client))
      .toBe(
        `Client { state: 'open', brokers: [ 'broker-0 at ${broker.addresses[0]}, connected' ], streams: 2, ` +
          'subscriptions: 1, consumers: 0, publishes: { inFlight: 0, waiting: 0 } }',
      );
    await subscription.close();
    await client.close();
    expect(shown(client)).toContain("Client { state: 'closed', brokers: [], streams: 2, subscriptions: 0,");
  });

  it('of a subscription shows its partition and its position', async () => {
    await client.publish('orders', 'tea');
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    await subscription[Symbol.asyncIterator]().next();
    expect(shown(subscription)).toBe("Subscription { state: 'open', stream: 'orders', partition: 0, position: 1n }");
    await subscription.close();
    expect(shown(subscription)).toContain("state: 'ended'");
    const all = await client.subscribe('orders', { partition: 'all', startAt: 'earliest' });
    expect(shown(all)).toMatch(/positions: Map\(2\) { 0 => \d+n, 1 => \d+n }/);
  });

  it('of a consumer shows its id and its partitions', async () => {
    const consumer = client.createConsumer('billing', { consumerId: 'c1' });
    expect(shown(consumer)).toBe(
      "Consumer { state: 'not subscribed', groupId: 'billing', consumerId: 'c1', assignments: Map(0) {} }",
    );
    await consumer.subscribe(['orders']);
    expect(shown(consumer)).toContain("state: 'subscribed'");
    await expect.poll(() => shown(consumer)).toContain("assignments: Map(1) { 'orders' => [ 0, 1 ] }");
    await consumer.close();
    expect(shown(consumer)).toContain("state: 'closed'");
  });

  it('of a test broker shows its addresses and its streams', async () => {
    expect(shown(broker)).toBe(
      `TestBroker { brokers: [ 'broker-0 at ${broker.addresses[0]}, running' ], streams: [ '__cursors', 'orders' ] }`,
    );
  });
});
