/**
 * Subscribing: where to begin and to end, all partitions, batches, in reverse, and through a failing leader.
 *
 *   npx tsx examples/subscribe.ts
 *
 * Exit code 0 only if every message came once, in order, and every loop ended where it says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { connect, type SubscribeOptions } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start({ brokers: 3, settings: { 'clustering.replica.max.lag.time': 500 } });
await using client = await connect(broker.addresses);
await client.createStream('events', 'events', { partitions: 2, replicationFactor: 3 });
for (const partition of [0, 1])
  for (let n = 0; n < 10; n++) await client.publish('events', `${n}`, { partition, ackPolicy: 'all' });

async function read(options: SubscribeOptions): Promise<string> {
  const values: string[] = [];
  for await (const message of await client.subscribe('events', options)) values.push(message.text());
  return values.join(' ');
}

// Positions. With a stop the loop ends by itself; an empty range is an empty loop.
assert.equal(await read({ startAt: 'earliest', stopAt: 'latest' }), '0 1 2 3 4 5 6 7 8 9');
assert.equal(await read({ startAt: { offset: 7 }, stopAt: { offset: 8 } }), '7 8');
assert.equal(await read({ startAt: { ago: 60_000 }, stopAt: { offset: 2 } }), '0 1 2');
assert.equal(await read({ startAt: 'new', stopAt: 'latest' }), '');
assert.equal(await read({ reverse: true, stopAt: { offset: 6 } }), '9 8 7 6');
console.log('read from the beginning, from an offset, from a time, and in reverse');

// A cursor remembers where a reader stands.
await client.setCursor('billing', 'events', 0, 5);
assert.equal(await read({ startAt: { cursor: 'billing' }, stopAt: 'latest' }), '6 7 8 9');
console.log('went on behind a cursor');

// All partitions, each in its own order, whatever has arrived at a time.
const all = await client.subscribe('events', { partition: 'all', startAt: 'earliest', stopAt: 'latest' });
let count = 0;
for await (const batch of all.batches()) count += batch.length;
assert.equal(count, 20);
assert.deepEqual([...all.positions.values()], [10n, 10n]);
console.log('read both partitions in batches');

// A leader fails while a loop waits: it goes on at the next one, without gap and without duplicate.
const live = await client.subscribe('events');
client.once('resubscribe', ({ position }) => console.log(`the leader failed; went on at offset ${position}`));
const noticed = once(client, 'disconnect');
await broker.stopBroker(broker.leaderOf('events'));
await noticed;
// Publishes wait for the next leader, too.
for (let n = 10; n < 15; n++) await client.publish('events', `${n}`);
const values: string[] = [];
for await (const message of live) {
  assert.equal(message.offset, BigInt(10 + values.length));
  values.push(message.text());
  // Leaving the loop cancels the call at the broker.
  if (values.length === 5) break;
}
assert.equal(values.join(' '), '10 11 12 13 14');
for (let wait = 0; broker.openSubscriptions.some((open) => open > 0); wait++) {
  assert.ok(wait < 100, 'the call is still open');
  await setTimeout(10);
}
console.log('every message came once, in order');
