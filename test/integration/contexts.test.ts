import { AsyncLocalStorage } from 'node:async_hooks';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { expect, it } from 'vitest';

const CALLERS = 20;

it('functions of a caller run in the AsyncLocalStorage context of its call', async () => {
  const storage = new AsyncLocalStorage<string | number>();
  await using broker = await TestBroker.start();
  // One publish at a time: the others are sent and called back when publishes of other callers end.
  await using client = await storage.run('connecting', () =>
    connect([...broker.addresses], { maxInFlight: { messages: 1 } }),
  );
  await client.createStream('orders', 'orders', { partitions: 3 });
  const seen: [what: string, caller: number, context: unknown][] = [];
  const note = (what: string, caller: number) => seen.push([what, caller, storage.getStore()]);
  const publish = (caller: number) =>
    new Promise<void>((resolve) => {
      const partitioner = (_message: unknown, partitions: number) => {
        note('partitioner', caller);
        return caller % partitions;
      };
      const onAck = () => {
        note('onAck', caller);
        resolve();
      };
      client.publishAsync('orders', `${caller}`, onAck, { partitioner });
      client.publishAsync('orders', `${caller}`, () => note('onAck of a refusal', caller), { partition: 7 });
    });
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => storage.run(caller, () => publish(caller))));
  await client.flush();
  expect(seen).toHaveLength(3 * CALLERS);
  expect(seen.filter(([, caller, context]) => caller !== context)).toEqual([]);
});

it('handlers of a consumer run in the context of the call of run', async () => {
  const storage = new AsyncLocalStorage<string>();
  await using broker = await TestBroker.start();
  await using client = await storage.run('connecting', () => connect([...broker.addresses]));
  await client.createStream('orders', 'orders');
  const contexts = new Set<unknown>();
  const note = () => void contexts.add(storage.getStore());
  await storage.run('running', async () => {
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', onAssigned: note, onRevoked: note });
    let handled = 0;
    const run = consumer.run(
      () => {
        note();
        if (++handled === 3) void consumer.close();
      },
      { streams: ['orders'] },
    );
    await storage.run('publishing', async () => {
      for (const value of ['a', 'b', 'c']) await client.publish('orders', value);
    });
    await run;
  });
  expect([...contexts]).toEqual(['running']);
});
