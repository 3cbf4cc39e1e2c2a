import { type Client, connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';

const CURSORS = 20;

async function restarted(brokers: number, use: (client: Client, fresh: Client) => Promise<void>) {
  await using broker = await TestBroker.start({ brokers, cursorsPartitions: 3 });
  await using client = await connect([...broker.addresses]);
  for (let n = 0; n < CURSORS; n++) await client.setCursor(`reader-${n}`, 'orders', 0, 100 + n);
  for (let i = 0; i < brokers; i++) await broker.stopBroker(i);
  for (let i = 0; i < brokers; i++) await broker.startBroker(i);
  await broker.ready();
  await using fresh = await connect([...broker.addresses]);
  await use(client, fresh);
}

function positions(client: Client): Promise<bigint[]> {
  return Promise.all(Array.from({ length: CURSORS }, (_, n) => client.fetchCursor(`reader-${n}`, 'orders', 0)));
}

const stored = Array.from({ length: CURSORS }, (_, n) => BigInt(100 + n));

describe('cursors, after every broker was killed,', () => {
  it.each([1, 3])('are still stored, with %i brokers', async (brokers) => {
    await restarted(brokers, async (client, fresh) => {
      expect(await positions(client)).toEqual(stored);
      expect(await positions(fresh)).toEqual(stored);
    });
  });
});
