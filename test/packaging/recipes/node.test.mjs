import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';

let broker;
before(async () => {
  broker = await TestBroker.start();
});
beforeEach(() => broker.reset());
after(() => broker.close());

test('an order is stored', async () => {
  const client = await connect(broker.addresses);
  await client.createStream('orders', 'orders');
  await client.publish('orders', 'one coffee');
  assert.equal(broker.messages('orders')[0].value.toString(), 'one coffee');
  await client.close();
});
