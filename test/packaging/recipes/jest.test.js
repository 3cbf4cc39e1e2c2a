const { connect } = require('liftbridge-client');
const { TestBroker } = require('liftbridge-test-broker');

let broker;
beforeAll(async () => {
  broker = await TestBroker.start();
});
beforeEach(() => broker.reset());
afterAll(() => broker.close());

test('an order is stored', async () => {
  const client = await connect(broker.addresses);
  await client.createStream('orders', 'orders');
  await client.publish('orders', 'one coffee');
  expect(broker.messages('orders')[0].value.toString()).toBe('one coffee');
  await client.close();
});
