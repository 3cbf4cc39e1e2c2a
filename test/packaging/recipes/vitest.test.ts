import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

let broker: TestBroker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
beforeEach(() => broker.reset());
afterAll(() => broker.close());

test('an order is stored', async () => {
  const client = await connect(broker.addresses);
  await client.createStream('orders', 'orders');
  await client.publish('orders', 'one coffee');
  expect(broker.messages('orders')[0]?.value?.toString()).toBe('one coffee');
  await client.close();
});
