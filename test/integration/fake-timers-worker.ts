// Uses its own broker and client while every global timer, clock and queue is a fake that never runs, as in a test
// framework with fake timers. "before" fakes them before the client connects, "after" fakes them afterwards.
import { TestBroker } from 'liftbridge-test-broker';
import { connect } from '../../src/index.js';

const realDate = Date;
const handle = { ref: () => handle, unref: () => handle, hasRef: () => false, [Symbol.toPrimitive]: () => 1 };
const never = (): typeof handle => handle;
const FAKES = {
  setTimeout: never,
  setInterval: never,
  setImmediate: never,
  queueMicrotask: () => undefined,
  performance: { now: () => 5 },
  Date: class extends realDate {
    constructor(...given: readonly number[]) {
      super(given[0] ?? FROZEN);
    }
    static override now = (): number => FROZEN;
  },
  // Node itself keeps the real object, also in a test framework.
  process: Object.create(process, {
    nextTick: { value: () => undefined },
    hrtime: { value: Object.assign(() => [0, 0], { bigint: () => 0n }) },
  }) as typeof process,
};
const FROZEN = realDate.UTC(2020, 0, 1);

const [when] = process.argv.slice(2);
const broker = await TestBroker.start();
if (when === 'before') Object.assign(globalThis, FAKES);
const client = await connect(broker.addresses);
if (when === 'after') Object.assign(globalThis, FAKES);

await client.createStream('orders', 'orders');
await client.publish('orders', 'one');
await client.publish('orders', 'two', { ackPolicy: 'none' });
await client.flush();
let read = 0;
for await (const message of await client.subscribe('orders', { startAt: 'earliest' })) {
  console.log(`read ${message.text()}`);
  if (++read === 2) break;
}
await client.setCursor('mine', 'orders', 0, 1n);
console.log(`cursor ${await client.fetchCursor('mine', 'orders', 0)}`);
const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
for await (const message of await consumer.subscribe(['orders'])) {
  console.log(`consumed ${message.text()}`);
  break;
}
await client.close();
await broker.close();
