import { once } from 'node:events';
import { type Client, connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';

/** No test waits for this timeout: only a lost publish reaches it and fails the test. */
const LONG_MS = 3_600_000;

/** Stops the broker; resolves when the client has detected it, so that nothing is sent on the old connection. */
async function stopped(broker: TestBroker, client: Client): Promise<void> {
  await Promise.all([once(client, 'disconnect'), broker.stopBroker(0)]);
}

describe('publishes after the only broker was restarted', () => {
  it.each(['empty', 'replay', 'not-leading'] as const)(
    'wait until it leads when it is held in the phase "%s", and no message is lost',
    async (hold) => {
      await using broker = await TestBroker.start();
      await using client = await connect([...broker.addresses], { ackTimeout: LONG_MS });
      await client.createStream('orders', 'orders', { partitions: 2 });
      await client.publish('orders', 'before', { partition: 0 });
      await stopped(broker, client);
      const recovery = await broker.startBroker(0, { hold });
      let connections = 0;
      client.on('connect', () => connections++);
      let acked = 0;
      const publishes = Array.from({ length: 20 }, (_, n) =>
        client.publish('orders', `${n}`, { partition: n % 2 }).then(() => acked++),
      );
      await eventually('the client is connected again', () => connections > 0);
      if (hold !== 'not-leading') await recovery.release('not-leading');
      // Event loop turns in which publishes would be sent.
      for (let turn = 0; turn < 20; turn++) await client.ping();
      expect(acked).toBe(0);
      await recovery.release();
      await Promise.all(publishes);
      const texts = (partition: number) => broker.messages('orders', partition).map(({ value }) => value?.toString());
      expect(texts(0)).toEqual(['before', ...[0, 2, 4, 6, 8, 10, 12, 14, 16, 18].map(String)]);
      expect(texts(1)).toEqual([1, 3, 5, 7, 9, 11, 13, 15, 17, 19].map(String));
    },
  );

  it('are stored when the broker replays a stream that was deleted and created again', async () => {
    await using broker = await TestBroker.start();
    await using client = await connect([...broker.addresses], { ackTimeout: LONG_MS });
    await client.createStream('orders', 'orders');
    await client.deleteStream('orders');
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'before');
    for (let round = 0; round < 5; round++) {
      await stopped(broker, client);
      await broker.startBroker(0);
      await client.publish('orders', `${round}`);
    }
    expect(broker.messages('orders').map(({ value }) => value?.toString())).toEqual([
      'before',
      '0',
      '1',
      '2',
      '3',
      '4',
    ]);
  });
});
