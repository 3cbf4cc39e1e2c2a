/**
 * A rolling restart of a cluster under load: a publisher and a subscriber go on while each broker in turn is stopped
 * and started again.
 *
 *   npx tsx examples/testing-failover.ts
 *
 * Exit code 0 only if everything that was acknowledged was read, once and in order.
 */
import assert from 'node:assert/strict';
import { connect, LiftbridgeError } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start({ brokers: 3 });
await using client = await connect(broker.addresses);
await client.createStream('orders', 'orders', { replicationFactor: 'max' });

const read: string[] = [];
const reading = (async () => {
  for await (const message of await client.subscribe('orders', { startAt: 'earliest' })) {
    if (message.text() === 'the end') return;
    read.push(message.text());
  }
})();

const acknowledged: string[] = [];
const unsure: string[] = [];

/** Publishes one message; an ack that is lost with its broker leaves open whether it is stored. */
async function publish(value: string): Promise<void> {
  try {
    await client.publish('orders', value, { ackPolicy: 'all', timeout: 2_000 });
    acknowledged.push(value);
  } catch (error) {
    if (!LiftbridgeError.is(error)) throw error;
    unsure.push(value);
  }
}

let published = 0;
async function publishSome(): Promise<void> {
  for (let n = 0; n < 100; n++) await publish(`order ${published++}`);
}

for (const index of broker.addresses.keys()) {
  const load = publishSome();
  await broker.stopBroker(index);
  await load;
  await broker.startBroker(index);
  await publishSome();
  console.log(`broker ${index} was restarted; partition 0 is led by broker ${broker.leaderOf('orders')}`);
}

// One broker at a time may also hand its leadership over while it runs, as for an upgrade.
const from = broker.leaderOf('orders');
await broker.moveLeader('orders', 0, (from + 1) % broker.addresses.length);
await publishSome();
console.log(`the leader moved from broker ${from} to broker ${broker.leaderOf('orders')}`);

do await publish('the end');
while (!acknowledged.includes('the end'));
await reading;

const kept = acknowledged.filter((value) => value !== 'the end');
assert.deepEqual(
  read.filter((value) => !unsure.includes(value)),
  kept,
);
assert.equal(new Set(read).size, read.length);
assert.ok(kept.length > published / 2);
console.log(`${published} published, ${kept.length} acknowledged, ${unsure.length} left open by a stopped broker.`);
console.log('All that was acknowledged was read, once and in order.');
