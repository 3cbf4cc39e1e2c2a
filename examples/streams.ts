/**
 * The life of a stream: created with options, looked at, paused, made readonly and deleted.
 *
 *   npx tsx examples/streams.ts
 *
 * Exit code 0 only if everything went as it says.
 */
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { connect, partitionByKey } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start({ brokers: 3 });
await using client = await connect(broker.addresses);

// What is left out follows the server's configuration; 0 would mean "no limit".
await client.createStream('orders', 'orders', {
  partitions: 3,
  replicationFactor: 'max',
  retentionMaxAge: 7 * 24 * 3_600_000,
  compactEnabled: true,
});
await assert.rejects(client.createStream('orders', 'orders'), { code: 'STREAM_EXISTS' });

for (const customer of ['ada', 'grace', 'barbara', 'ada']) {
  await client.publish('orders', `an order of ${customer}`, { key: customer, partitioner: partitionByKey });
}

// fetchMetadata knows the shape of the cluster, the leader of a partition knows its exact state.
const { streams, brokers } = await client.fetchMetadata({ streams: ['orders'] });
const orders = streams.get('orders');
assert.ok(orders);
console.log(
  `${orders.name} on subject ${orders.subject}, ${orders.partitions.size} partitions, ${brokers.size} brokers`,
);
let stored = 0n;
for (const id of orders.partitions.keys()) {
  const { leader, isr, newestOffset } = await client.fetchPartitionMetadata('orders', id);
  console.log(`  partition ${id}: leader ${leader?.id}, ${isr.length} in sync, newest offset ${newestOffset}`);
  assert.equal(isr.length, 3);
  stored += newestOffset + 1n;
}
assert.equal(stored, 4n);

/** In a cluster the leader of a partition learns of a change a moment after the call is answered. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(5);
}

// A paused partition takes no resources; the next publish wakes it up.
await client.pauseStream('orders', { partitions: [0] });
await until(() =>
  client.fetchPartitionMetadata('orders', 0).then(
    () => false,
    ({ code }) => code === 'PARTITION_PAUSED',
  ),
);
await client.publish('orders', 'good morning', { partition: 0 });
const { newestOffset } = await client.fetchPartitionMetadata('orders', 0);
console.log(`partition 0 was paused, and stored the publish that woke it up at offset ${newestOffset}`);

// A readonly partition refuses publishes, and a reader's loop ends where the partition does.
await client.setStreamReadonly('orders');
const isReadonly = async (id: number) => (await client.fetchPartitionMetadata('orders', id)).readonly;
for (const id of orders.partitions.keys()) await until(() => isReadonly(id));
await assert.rejects(client.publish('orders', 'too late'), { code: 'READONLY_PARTITION' });
let read = 0;
for await (const message of await client.subscribe('orders', { partition: 'all', startAt: 'earliest' })) {
  assert.equal(message.stream, 'orders');
  read += 1;
}
assert.equal(read, 5);
console.log(`readonly: a publish was refused, and a loop over all partitions ended by itself after ${read} messages`);
await client.setStreamReadonly('orders', { readonly: false });
for (const id of orders.partitions.keys()) await until(async () => !(await isReadonly(id)));
await client.publish('orders', 'writable again');

await client.deleteStream('orders');
await assert.rejects(client.deleteStream('orders'), { code: 'NO_SUCH_STREAM' });
console.log('deleted');
