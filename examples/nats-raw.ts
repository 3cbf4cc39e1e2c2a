/**
 * Services that know nothing of Liftbridge: what they publish on NATS is recorded, in order, and can be read again.
 *
 *   npx tsx examples/nats-raw.ts                        with the NATS listener of the test broker
 *   npx tsx examples/nats-raw.ts nats://localhost:4222  with a NATS server of yours
 *
 * Exit code 0 only if every message was read back as it was published.
 */
import assert from 'node:assert/strict';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import * as nats from 'nats';

await using broker = await TestBroker.start({ nats: process.argv[2] ?? true });
await using client = await connect(broker.addresses);
await client.createStream('sensors.*', 'measurements');

// Any NATS client in any language: here the `nats` package, with nothing of Liftbridge about it.
const service = await nats.connect({ servers: broker.natsUrl! });
const published = ['sensors.hall 21.5', 'sensors.roof -3', 'sensors.hall 21.7'];
for (const line of published) {
  const [subject, value] = line.split(' ') as [string, string];
  service.publish(subject, value);
}
await service.drain();

const subscription = await client.subscribe('measurements', { startAt: 'earliest' });
const read: string[] = [];
for await (const message of subscription) {
  console.log(`${message.time.toISOString()}  offset ${message.offset}  ${message.subject}  ${message.text()}`);
  read.push(`${message.subject} ${message.text()}`);
  if (read.length === published.length) break;
}
assert.deepEqual(read, published);
console.log(`${read.length} plain NATS messages were recorded in one stream and read back in order.`);
