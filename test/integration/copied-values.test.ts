import { connect, type PublishOptions } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/envelope.js';
import { type NatsConnection, natsPublisher } from '../../src/nats.js';
import { CONNECTION } from '../support/hostile-calls.js';

const [BEFORE, AFTER] = [0x61, 0x62];
const bytesOf = (size: number): Buffer => Buffer.alloc(size, BEFORE);

describe.each([
  [1_024, BEFORE, 'are copied by the call'],
  [1_025, AFTER, 'are read when the message is written'],
])('%i bytes that change while their publish waits', (size, stored, what) => {
  it(`${what}, as a value, a key and a header`, async () => {
    await using broker = await TestBroker.start();
    await using client = await connect([...broker.addresses], { maxInFlight: { messages: 1 } });
    await client.createStream('orders', 'orders');
    broker.faults.delayAcks(50);
    const first = client.publish('orders', 'first');
    const parts = { value: bytesOf(size), key: bytesOf(size), header: bytesOf(size) };
    const options: PublishOptions = { key: parts.key, headers: { header: parts.header }, partition: 0 };
    const second = client.publish('orders', parts.value, options);
    for (const part of Object.values(parts)) part.fill(AFTER);
    await Promise.all([first, second]);
    const message = broker.messages('orders')[1]!;
    expect([message.value?.[0], message.key?.[0], message.headers.header?.[0]]).toEqual([stored, stored, stored]);
  });
});

it('a NATS publisher copies value, key and headers of any size during the call', async () => {
  const sent: Buffer[] = [];
  const connection: NatsConnection = { ...CONNECTION, publish: (_subject, data) => void sent.push(Buffer.from(data)) };
  const publisher = natsPublisher(connection);
  const parts = { value: bytesOf(5_000), key: bytesOf(5_000), header: bytesOf(5_000) };
  const options = { key: parts.key, headers: { header: parts.header }, ackPolicy: 'none' } as const;
  const published = publisher.publish('orders', parts.value, options);
  for (const part of Object.values(parts)) part.fill(AFTER);
  await published;
  const message = decodeMessage(sent[0]!);
  expect([message.value?.[0], message.key?.[0], message.headers.header?.[0]]).toEqual([BEFORE, BEFORE, BEFORE]);
  await publisher.close();
});
