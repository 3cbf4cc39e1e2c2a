/**
 * Publishing a whole source: pulled no faster than the brokers acknowledge, with bounded memory, in order.
 *
 *   npx tsx examples/publish-all.ts
 *
 * Exit code 0 only if everything was stored, in order, and the source was never read far ahead.
 */
import assert from 'node:assert/strict';
import { connect, partitionByKey } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

const COUNT = 20_000;
const WINDOW = 500;

await using broker = await TestBroker.start();
await using client = await connect(broker.addresses, { maxInFlight: { messages: WINDOW } });
await client.createStream('readings', 'readings', { partitions: 4 });

let pulled = 0;
function* readings() {
  for (; pulled < COUNT; pulled++) yield { value: `${pulled}`, key: `sensor-${pulled % 10}` };
}

let acknowledged = 0;
let furthest = 0;
for await (const ack of client.publishAll('readings', readings(), { partitioner: partitionByKey })) {
  assert.equal(ack.stream, 'readings');
  acknowledged++;
  furthest = Math.max(furthest, pulled - acknowledged);
}
assert.equal(acknowledged, COUNT);
assert.ok(furthest <= WINDOW);
console.log(`${acknowledged} readings acknowledged; the source was never more than ${furthest} ahead`);

// Each sensor has one partition, and its readings are there in order.
const last = new Map<string, number>();
const stored = await client.subscribe('readings', { partition: 'all', startAt: 'earliest', stopAt: 'latest' });
for await (const message of stored) {
  const sensor = String(message.key);
  assert.ok(Number(message.text()) > (last.get(sensor) ?? -1));
  last.set(sensor, Number(message.text()));
}
assert.equal(last.size, 10);
console.log(`${last.size} sensors, each in order`);

// The first failure ends the loop, after the acks of what came before it.
const source = ['fine', { value: 'nowhere', partition: 99 }, 'never sent for'];
const acks: bigint[] = [];
await assert.rejects(
  async () => {
    for await (const ack of client.publishAll('readings', source)) acks.push(ack.offset);
  },
  { code: 'NO_SUCH_PARTITION' },
);
assert.equal(acks.length, 1);
console.log('a message that cannot be stored ended its source');
