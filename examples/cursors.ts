/**
 * A reader that remembers how far it is: cursors are stored by the cluster, and survive the reader.
 *
 *   npx tsx examples/cursors.ts
 *
 * Exit code 0 only if the second reader went on where the first one stopped.
 */
import assert from 'node:assert/strict';
import { type Client, connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

// A server needs `cursors.stream.partitions` above 0 in its configuration for this; a test broker has it by default.
await using broker = await TestBroker.start();

/** Reads from the cursor `billing` on, and stores it every other message, as `count` messages are processed. */
async function bill(client: Client, count: number): Promise<string[]> {
  const read: string[] = [];
  for await (const message of await client.subscribe('orders', { startAt: { cursor: 'billing' } })) {
    read.push(message.text());
    if (read.length % 2 === 0) await client.setCursor('billing', 'orders', 0, message.offset);
    if (read.length === count) break;
  }
  return read;
}

await using client = await connect(broker.addresses);
await client.createStream('orders', 'orders');
for (let n = 0; n < 6; n++) await client.publish('orders', `order ${n}`);

assert.equal(await client.fetchCursor('billing', 'orders', 0), -1n);
const first = await bill(client, 3);
const cursor = await client.fetchCursor('billing', 'orders', 0);
console.log(`the first reader read ${first.join(', ')} and left the cursor at offset ${cursor}`);
assert.equal(cursor, 1n);

// Order 2 was read and not yet stored: it comes again. Cursors give at least once.
await using other = await connect(broker.addresses);
const second = await bill(other, 4);
console.log(`the second reader read ${second.join(', ')}`);
assert.deepEqual(second, ['order 2', 'order 3', 'order 4', 'order 5']);

// Each id has a position of its own.
await client.setCursor('shipping', 'orders', 0, 0);
assert.equal(await client.fetchCursor('shipping', 'orders', 0), 0n);
assert.equal(await client.fetchCursor('billing', 'orders', 0), 5n);

// A server without cursors says so with a code of its own.
await using without = await TestBroker.start({ cursorsPartitions: 0 });
await using plain = await connect(without.addresses);
await assert.rejects(plain.fetchCursor('billing', 'orders', 0), { code: 'CURSORS_DISABLED' });
console.log('The second reader went on behind the cursor of the first one.');
