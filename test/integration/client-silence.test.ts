import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../src/index.js';

let broker: TestBroker;
let client: Client;

beforeEach(async () => {
  broker = await TestBroker.start({ brokers: 3, cursorsPartitions: 3 });
  client = await connect(broker.addresses, { requestTimeout: 6_000, retry: { minDelay: 5 } });
});

afterEach(async () => {
  broker.faults.clear();
  await client.close({ timeout: 100 });
  await broker.close();
});

describe('a broker that goes silent without a word', () => {
  it('does not keep calls from being served by the others', async () => {
    for (let i = 0; i < 6; i++) await client.ping();
    broker.faults.silence(undefined, { broker: 1 });
    const started = performance.now();
    for (let i = 0; i < 20; i++) await client.ping();
    // One attempt at most is lost to it, a third of requestTimeout: after that it is asked last.
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('does not keep a new client from connecting', async () => {
    broker.faults.silence(undefined, { broker: 0 });
    const other = await connect(broker.addresses);
    expect(other.metadata.brokers.size).toBe(3);
    await other.close();
  });

  it('ends a call that only it can serve with TIMEOUT, naming what happened', async () => {
    await client.createStream('foo', 'foo', { replicationFactor: 1 });
    broker.faults.silence(undefined, { broker: broker.leaderOf('foo') });
    const started = performance.now();
    await expect(client.fetchPartitionMetadata('foo', 0, { timeout: 800 })).rejects.toMatchObject({
      code: expect.stringMatching(/TIMEOUT|CONNECTION/),
      stream: 'foo',
      partition: 0,
    });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('is used again when it speaks', async () => {
    const speak = broker.faults.silence();
    await expect(client.ping({ timeout: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    speak();
    expect(await client.ping()).toBeGreaterThan(0);
    await client.createStream('foo', 'foo');
    expect(await client.publish('foo', 'x')).toMatchObject({ offset: 0n });
  });

  it('does not keep the client from closing', async () => {
    await client.createStream('foo', 'foo');
    await client.publish('foo', 'x');
    broker.faults.silence();
    const waiting = client.publish('foo', 'never acknowledged').catch((error: unknown) => error);
    const started = performance.now();
    await client.close({ timeout: 100 });
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
  });
});
