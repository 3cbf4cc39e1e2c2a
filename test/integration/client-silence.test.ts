import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type LiftbridgeError } from '../../src/index.js';
import { closing } from '../support/closing.js';

// A wait for it is a hang.
const HOUR = 3_600_000;

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
    let retries = 0;
    client.on('retry', () => retries++);
    for (let i = 0; i < 20; i++) await client.ping();
    // One attempt at most is lost to it: after that it is asked last.
    expect(retries).toBeLessThanOrEqual(1);
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
    await expect(client.fetchPartitionMetadata('foo', 0, { timeout: 800 })).rejects.toMatchObject({
      code: expect.stringMatching(/TIMEOUT|CONNECTION/),
      stream: 'foo',
      partition: 0,
    });
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
    const waiting = client.publish('foo', 'never acknowledged', { timeout: HOUR }).catch((error: unknown) => error);
    await client.close({ timeout: 100 });
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
  });
});

describe('a metadata leader that freezes', () => {
  it('keeps what the others forward to it, and calls are repeated until its successor answers', async () => {
    // Brokers believe in a lost metadata leader for half a second then, as the server's do.
    const settings = { 'clustering.replica.max.leader.timeout': '15s' };
    const slow = closing(await TestBroker.start({ brokers: 3, cursorsPartitions: 0, settings }));
    const whole = closing(await connect(slow.addresses));
    for (const name of ['a', 'b', 'c']) await whole.createStream(name, name, { replicationFactor: 1 });
    // The client asks the other brokers only.
    slow.faults.unlist(0);
    const other = closing(await connect(slow.addresses.slice(1), { requestTimeout: 6_000, retry: { minDelay: 5 } }));
    const alive = ['a', 'b', 'c'].find((name) => slow.leaderOf(name) !== 0)!;
    const failures: string[] = [];
    other.on('retry', ({ operation, error }) => failures.push(`${operation} ${(error as LiftbridgeError).code}`));
    slow.faults.freeze(0);
    await other.setStreamReadonly(alive);
    expect(failures).toContain('SetStreamReadonly TIMEOUT');
    await expect(other.publish(alive, 'x')).rejects.toMatchObject({ code: 'READONLY_PARTITION' });
  });
});
