import { runInNewContext } from 'node:vm';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';

type Make = () => Record<string, string>;

const TOKEN = { authorization: 'token' };
const REASON = new Error('the token service is away');

const WORKING: [how: string, make: Make][] = [
  ['a promise of another realm', () => runInNewContext('Promise.resolve({ authorization: "token" })') as never],
  // biome-ignore lint/suspicious/noThenProperty: the test needs a thenable
  ['a thenable', () => ({ then: (resolve: (made: object) => void) => resolve(TOKEN) }) as never],
];
const FAILING: [how: string, make: Make][] = [
  [
    'throws',
    () => {
      throw REASON;
    },
  ],
  [
    'returns a promise of another realm that rejects',
    () => runInNewContext('(e) => Promise.reject(e)')(REASON) as never,
  ],
  [
    'returns a thenable that rejects',
    // biome-ignore lint/suspicious/noThenProperty: the test needs a thenable
    () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(REASON) }) as never,
  ],
];

describe('a consumer whose metadata function', () => {
  it.each(WORKING)('returns %s joins, reads and stores its position', async (_how, make) => {
    await using broker = await TestBroker.start();
    await using client = await connect([...broker.addresses], { metadata: () => make() });
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'one');
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: false });
    for await (const message of await consumer.subscribe(['orders'])) {
      expect(message.text()).toBe('one');
      await consumer.checkpoint();
      break;
    }
    await consumer.close();
  });

  it.each(FAILING)('%s gets its error from all calls, and joins when the function works', async (_how, fails) => {
    await using broker = await TestBroker.start();
    let make: Make = () => TOKEN;
    await using client = await connect([...broker.addresses], {
      metadata: () => make(),
      retry: { minDelay: 1, maxDelay: 5 },
    });
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'one');
    make = fails;
    const refused = client.createConsumer('group', { autoOffset: 'earliest' });
    const error = { code: 'HANDLER_FAILED', cause: REASON };
    // It calls the function until its timeout, which may occur during a call.
    await expect(refused.subscribe(['orders'], { timeout: 1_000 })).rejects.toMatchObject(error);
    await expect(client.subscribe('orders', { timeout: 500 })).rejects.toMatchObject(error);
    make = () => TOKEN;
    await refused.close();
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    for await (const message of await consumer.subscribe(['orders'])) {
      expect(message.text()).toBe('one');
      break;
    }
    await consumer.close();
  });
});
