/**
 * Publishing over NATS and knowing that it was stored: acks, fan-out to several streams, refusals and timeouts.
 *
 *   npx tsx examples/nats-acks.ts                        with the NATS listener of the test broker
 *   npx tsx examples/nats-acks.ts nats://localhost:4222  with a NATS server of yours
 *
 * Exit code 0 only if everything was acknowledged, refused or timed out as it says.
 */
import assert from 'node:assert/strict';
import * as nats from '@nats-io/transport-node';
import { connect } from 'liftbridge-client';
import { natsPublisher } from 'liftbridge-client/nats';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start({ nats: process.argv[2] ?? true });
await using client = await connect(broker.addresses);
await client.createStream('payments', 'payments');
await client.createStream('payments', 'audit');
await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });

const connection = await nats.connect({ servers: broker.natsUrl! });
const publisher = natsPublisher(connection);

// Two streams record the subject, so two acks come.
const both = await publisher.publish('payments', '10.00 EUR', { key: 'account-1', acks: 2 });
console.log(`stored by ${both.map((ack) => `${ack.stream} at offset ${ack.offset}`).join(' and ')}`);
assert.deepEqual(both.map((ack) => ack.stream).sort(), ['audit', 'payments']);

// Many at a time: none waits for another, and their order is kept.
const started = performance.now();
const publishes = Array.from({ length: 1_000 }, (_, n) => publisher.publish('ledger', `${n}`, { expectedOffset: n }));
const acks = (await Promise.all(publishes)).flat();
console.log(`${acks.length} entries acknowledged in ${Math.round(performance.now() - started)} ms`);
assert.ok(acks.every((ack, n) => ack.offset === BigInt(n)));

// The stream refuses an offset that is taken, so a publish can be repeated without being stored twice.
const again = publisher.publish('ledger', '999', { expectedOffset: 999 });
await assert.rejects(again, { code: 'INCORRECT_OFFSET' });
console.log('the last entry, published again, was refused');

const unheard = publisher.publish('no.listener', 'hello?', { timeout: 100 });
await assert.rejects(unheard, { code: 'ACK_TIMEOUT' });
console.log('a subject without a stream gave no ack');

await publisher.close();
await assert.rejects(publisher.publish('payments', 'late'), { code: 'CLOSED' });
await connection.close();
console.log('Every publish was settled: stored, refused or timed out.');
