/**
 * What a client tells about itself: events, diagnostics channels and a logger, while a broker is stopped and started.
 *
 *   npx tsx examples/observability.ts
 *
 * Exit code 0 only if everything that happened was told.
 */
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Logger } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

// A pino logger fits as it is; this one prints what is not mere detail.
const logged: string[] = [];
function log(level: string): (context: object, message: string) => void {
  return (context, message) => {
    logged.push(message);
    if (level !== 'debug') console.log(`log         ${level}: ${message} ${'broker' in context ? context.broker : ''}`);
  };
}
const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };

// Diagnostics channels see every client of the process, also those that a library made.
const channels: string[] = [];
for (const name of ['connect', 'disconnect', 'leaderChange', 'retry', 'resubscribe']) {
  subscribe(`liftbridge:${name}`, (message) => {
    channels.push(name);
    if (name === 'retry') console.log(`diagnostics ${name}: ${(message as { operation: string }).operation}`);
  });
}

await using broker = await TestBroker.start({ brokers: 3 });
await using client = await connect(broker.addresses, { logger });
client.on('disconnect', ({ broker: lost, error }) => console.log(`event       disconnect: ${lost.id}, ${error.code}`));
client.on('leaderChange', ({ stream, partition, from, to }) =>
  console.log(`event       leaderChange: ${stream}/${partition} from ${from} to ${to}`),
);
client.on('asyncError', (error) => console.log('event       asyncError:', error));

await client.createStream('orders', 'orders', { replicationFactor: 3 });
await client.publish('orders', 'before');
await using subscription = await client.subscribe('orders', { startAt: 'earliest' });
const messages = subscription[Symbol.asyncIterator]();
assert.equal((await messages.next()).value?.text(), 'before');
console.log(`round trip  ${(await client.ping()).toFixed(1)} ms`);

// The leader goes down: the subscription moves on to the next one, and somebody gets to know.
const leader = broker.leaderOf('orders');
const resubscribed = once(client, 'resubscribe');
const disconnected = once(client, 'disconnect');
await broker.stopBroker(leader);
const [{ position }] = await resubscribed;
await disconnected;
console.log(`event       resubscribe: goes on at offset ${position}`);
assert.equal(position, 1n);
await client.publish('orders', 'after', { ackPolicy: 'all' });
assert.equal((await messages.next()).value?.text(), 'after');

// The prober brings it back without being asked.
const back = once(client, 'connect');
await broker.startBroker(leader);
const [{ broker: returned }] = await back;
console.log(`event       connect: ${returned.id} is back`);

for (const name of ['connect', 'disconnect', 'resubscribe']) assert.ok(channels.includes(name), name);
assert.ok(logged.includes('broker disconnected'));
console.log(
  `Nothing happened in silence: ${channels.length} messages on diagnostics channels, ${logged.length} log lines.`,
);
