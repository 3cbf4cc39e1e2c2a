/**
 * Publishing: acks, partitions by key, refusals that are typed, callbacks, and publishes that cannot be stored twice.
 *
 *   npx tsx examples/publish.ts
 *
 * Exit code 0 only if everything was acknowledged or refused as it says.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, partitionByKey } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

await using broker = await TestBroker.start();
await using client = await connect(broker.addresses);
await client.createStream('orders', 'orders', { partitions: 3 });

// One message, acknowledged once the leader of its partition has written it.
const ack = await client.publish('orders', JSON.stringify({ item: 'tea' }), {
  key: 'customer-1',
  headers: { 'content-type': 'application/json' },
  partitioner: partitionByKey,
});
assert.equal(ack.offset, 0n);
console.log(`stored on ${ack.messageSubject} at offset ${ack.offset}`);

// Many at a time, without waiting for each: they share the connection, and each partition keeps their order.
const many = Array.from({ length: 1_000 }, (_, n) => client.publish('orders', `order ${n}`, { partition: 2 }));
const offsets = (await Promise.all(many)).map((one) => one!.offset);
assert.deepEqual(
  offsets,
  offsets.map((_, n) => offsets[0]! + BigInt(n)),
);
console.log(`${offsets.length} messages acknowledged in order`);

// What the broker refuses is a typed error, for that one message.
await client.setStreamReadonly('orders', { partitions: [1] });
await assert.rejects(client.publish('orders', 'no', { partition: 1 }), { code: 'READONLY_PARTITION' });
await assert.rejects(client.publish('orders', Buffer.alloc(5 * 1024 * 1024)), { code: 'MESSAGE_TOO_LARGE' });
console.log('a readonly partition and a message of 5 MiB were refused');

// No caller waits for the outcome of a publish without ack: refusals come as an event.
const refused = once(client, 'asyncError');
assert.equal(await client.publish('orders', 'no', { partition: 1, ackPolicy: 'none' }), null);
const [error] = await refused;
assert.equal(error.code, 'READONLY_PARTITION');
console.log('the refusal of a publish without ack was reported');

// Where offsets are checked, a message can be sent again without being stored twice.
await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });
await client.publish('ledger', '+10', { expectedOffset: 0 });
await assert.rejects(client.publish('ledger', '+10', { expectedOffset: 0 }), { code: 'INCORRECT_OFFSET' });
console.log('an entry that was there already was not stored again');

// With a callback instead of a promise; flush waits for all of them.
let calls = 0;
for (let n = 0; n < 100; n++) {
  client.publishAsync('ledger', `entry ${n}`, (failure, stored) => {
    assert.equal(failure, null);
    assert.equal(stored?.offset, BigInt(n + 1));
    calls++;
  });
}
await client.flush();
assert.equal(calls, 100);
console.log('every callback was called once');
