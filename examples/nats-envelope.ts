/**
 * A key and headers on messages that are published with a bare NATS client, by putting them into an envelope.
 *
 *   npx tsx examples/nats-envelope.ts                        with the NATS listener of the test broker
 *   npx tsx examples/nats-envelope.ts nats://localhost:4222  with a NATS server of yours
 *
 * Exit code 0 only if keys, values and headers were read back, and a damaged envelope was told from a sound one.
 */
import assert from 'node:assert/strict';
import { connect } from 'liftbridge-client';
import { decodeMessage, EnvelopeError, encodeMessage, isEnvelope } from 'liftbridge-client/envelope';
import { TestBroker } from 'liftbridge-test-broker';
import * as nats from 'nats';

await using broker = await TestBroker.start({ nats: process.argv[2] ?? true });
await using client = await connect(broker.addresses);
await client.createStream('orders', 'orders-stream');

const service = await nats.connect({ servers: broker.natsUrl! });
const orders = [
  { key: 'customer-7', value: { id: 1, item: 'kite' } },
  { key: 'customer-9', value: { id: 2, item: 'rope' } },
];
for (const { key, value } of orders) {
  const headers = { source: 'shop', 'content-type': 'application/json' };
  service.publish('orders', encodeMessage(JSON.stringify(value), { key, headers, checksum: true }));
}
await service.drain();

const subscription = await client.subscribe('orders-stream', { startAt: 'earliest' });
const read: unknown[] = [];
for await (const message of subscription) {
  console.log(`offset ${message.offset}  key ${message.key}  from ${message.headers.source}  ${message.text()}`);
  assert.equal(message.headers.source?.toString(), 'shop');
  read.push({ key: message.key?.toString(), value: message.json() });
  if (read.length === orders.length) break;
}
assert.deepEqual(read, orders);

// The other way round: a NATS subscriber reads envelopes, and notices a damaged one.
const envelope = encodeMessage('fragile', { checksum: true });
assert.equal(decodeMessage(envelope).text(), 'fragile');
assert.equal(isEnvelope(Buffer.from('plain data')), false);
envelope[envelope.length - 1]! ^= 1;
assert.throws(
  () => decodeMessage(envelope),
  (error) => error instanceof EnvelopeError && error.reason === 'checksum',
);
console.log('Keys, values and headers came through NATS, and a damaged envelope was noticed.');
