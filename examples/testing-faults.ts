/**
 * What a service sees when its brokers misbehave: each fault of the test broker strikes once.
 *
 *   npx tsx examples/testing-faults.ts
 *
 * Exit code 0 only if the client took each of them as it says.
 */
import assert from 'node:assert/strict';
import { connect, LiftbridgeError } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start({ brokers: 3 });
await using client = await connect(broker.addresses);
await client.createStream('orders', 'orders', { replicationFactor: 'max' });

/** The code that a promise rejects with. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.fail('it was expected to fail'),
    (reason: unknown) => reason,
  );
  assert.ok(LiftbridgeError.is(error), String(error));
  return error.code;
}

function show(what: string): void {
  console.log(what);
}

// A status that passes by itself: calls that only read are tried again.
broker.faults.rejectNext('FetchMetadata', 'UNAVAILABLE', 'starting up', 2);
assert.ok((await client.fetchMetadata()).streams.has('orders'));
assert.equal(broker.faults.pending, 0);
show('two refused lookups of the metadata were tried again');

// An ack that gets lost: the message is stored, and the publisher cannot know.
broker.faults.dropAcks(1);
assert.equal(await codeOf(client.publish('orders', 'one coffee', { timeout: 300 })), 'ACK_TIMEOUT');
assert.equal(broker.messages('orders').length, 1);
show('a publish without its ack failed with ACK_TIMEOUT, though the message is stored');

// A slow disk or a busy leader: acks come, but late.
broker.faults.delayAcks(60_000);
const late = client.publish('orders', 'one tea', { timeout: 10_000 });
while (broker.messages('orders').length < 2) await new Promise((resolve) => setImmediate(resolve));
await broker.clock.advance(60_000);
assert.equal((await late)?.offset, 1n);
broker.faults.delayAcks(0);
show('an ack that was held back for a minute came at once when the clock was moved on');

// A load balancer that cuts idle connections, in the middle of reading.
const subscription = await client.subscribe('orders', { startAt: 'earliest' });
const read: string[] = [];
for await (const message of subscription) {
  read.push(message.text());
  if (read.length === 2) {
    broker.faults.cutConnections();
    await using publisher = await connect(broker.addresses);
    await publisher.publish('orders', 'one cake');
  }
  if (read.length === 3) break;
}
assert.deepEqual(read, ['one coffee', 'one tea', 'one cake']);
show('a subscription survived a cut connection, without gap and without duplicate');

// A leader that the others cannot reach, while clients can: what it alone has taken is not acknowledged for all.
const leader = broker.leaderOf('orders');
for (const other of [0, 1, 2]) if (other !== leader) broker.faults.partition(leader, other);
const alone = client.publish('orders', 'one juice', { ackPolicy: 'all', timeout: 1_000 });
assert.equal(await codeOf(alone), 'ACK_TIMEOUT');
assert.notEqual(broker.leaderOf('orders'), leader);
broker.faults.heal();
show('a leader that was cut off acknowledged nothing, and another took over');

await client.publish('orders', 'one water', { ackPolicy: 'all' });
assert.deepEqual(
  broker.messages('orders').map(({ value }) => String(value)),
  ['one coffee', 'one tea', 'one cake', 'one water'],
);
show('what the old leader had taken alone is gone, as it was never acknowledged');

console.log('Every fault was met as it should be.');
