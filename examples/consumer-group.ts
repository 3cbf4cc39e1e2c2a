/**
 * A consumer group: two workers share the partitions of a stream, a third one joins under load, one leaves, and what
 * cannot be handled goes to a dead-letter stream. Runs by itself on an embedded broker:
 *
 *   npx tsx examples/consumer-group.ts
 *
 * Exit code 0 only if every order was handled exactly once, or is a dead letter.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, type Consumer, connect, type Message, partitionByKey } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

const ORDERS = 600;
const REFUSED = new Set(['order-13', 'order-313']);

/** Who has handled which order, over all workers. */
const handled = new Map<string, string[]>();

async function handle(worker: string, message: Message): Promise<void> {
  const order = message.text();
  if (REFUSED.has(order)) throw new Error('the customer has no address');
  await sleep(Math.random() * 4);
  handled.set(order, [...(handled.get(order) ?? []), worker]);
}

interface Worker {
  readonly client: Client;
  readonly consumer: Consumer;
  readonly run: Promise<void>;
}

/** Each worker has a client of its own, as it would in a process of its own. */
async function startWorker(addresses: readonly string[], name: string): Promise<Worker> {
  const client = await connect(addresses);
  const consumer = client.createConsumer('billing', {
    consumerId: name,
    autoOffset: 'earliest',
    onAssigned: (_stream, partitions) => console.log(`  ${name} was given partitions ${partitions.join(', ')}`),
    onRevoked: (_stream, partitions) => console.log(`  ${name} gives up partitions ${partitions.join(', ')}`),
  });
  await consumer.subscribe(['orders']);
  const run = consumer.run((message) => handle(name, message), {
    concurrency: 4,
    retries: 2,
    minDelay: 5,
    deadLetter: 'orders-dead',
  });
  return { client, consumer, run };
}

async function publishOrders(client: Client): Promise<void> {
  for (let order = 0; order < ORDERS; order++) {
    await client.publish('orders', `order-${order}`, { key: `customer-${order % 40}`, partitioner: partitionByKey });
    if (order % 10 === 0) await sleep(5);
  }
}

async function deadLetters(client: Client): Promise<Message[]> {
  const letters: Message[] = [];
  for await (const letter of await client.subscribe('orders-dead', { startAt: 'earliest', stopAt: 'latest' }))
    letters.push(letter);
  return letters;
}

/** Waits until every order has come to its end. */
async function finished(broker: TestBroker): Promise<void> {
  const ends = Date.now() + 20_000;
  while (handled.size + broker.messages('orders-dead').length < ORDERS && Date.now() < ends) await sleep(20);
}

async function main(): Promise<number> {
  const broker = await TestBroker.start({ cursorsPartitions: 3, groups: { consumerTimeout: 1_000 } });
  const client = await connect(broker.addresses);
  try {
    await client.createStream('orders', 'orders', { partitions: 6 });
    await client.createStream('orders-dead', 'orders-dead');
    console.log('Two workers begin:');
    const workers = [await startWorker(broker.addresses, 'ann'), await startWorker(broker.addresses, 'bob')];
    const publishing = publishOrders(client);
    await sleep(200);
    console.log('A third one joins:');
    workers.push(await startWorker(broker.addresses, 'cid'));
    await sleep(200);
    console.log('The first one leaves:');
    await workers[0]!.consumer.close();
    await publishing;
    await finished(broker);
    const lags = (await Promise.all(workers.slice(1).map(({ consumer }) => consumer.lag()))).flat();
    await Promise.all(workers.map((worker) => worker.client.close()));
    await Promise.all(workers.map((worker) => worker.run));
    return report(
      await deadLetters(client),
      lags.map(({ lag }) => lag),
    );
  } finally {
    await client.close();
    await broker.close();
  }
}

function report(letters: readonly Message[], lags: readonly bigint[]): number {
  const repeated = [...handled].filter(([, by]) => by.length > 1);
  console.log(`${handled.size} of ${ORDERS} orders were handled, ${repeated.length} of them more than once.`);
  for (const letter of letters) {
    const { 'dead-letter-attempts': attempts, 'dead-letter-error': error } = letter.headers;
    console.log(`Dead letter: ${letter.text()} after ${attempts} attempts: ${error}`);
  }
  console.log(`Lag of the ${lags.length} partitions at the end: ${lags.join(', ')}`);
  const buried = letters.map((letter) => letter.text()).sort();
  const right =
    handled.size === ORDERS - REFUSED.size &&
    repeated.length === 0 &&
    buried.join() === [...REFUSED].sort().join() &&
    lags.length === 6 &&
    lags.every((lag) => lag === 0n);
  console.log(right ? 'Every order was handled once, or is a dead letter.' : 'NOT every order was handled once.');
  return right ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
