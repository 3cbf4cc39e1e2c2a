import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type LiftbridgeError } from '../../src/index.js';
import { closing } from '../support/closing.js';

// Long timeout: a test that reaches it hangs.
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

describe('a broker that stops responding without closing its connections', () => {
  it('does not prevent the other brokers from serving calls', async () => {
    for (let i = 0; i < 6; i++) await client.ping();
    broker.faults.silence(undefined, { broker: 1 });
    let retries = 0;
    client.on('retry', () => retries++);
    for (let i = 0; i < 20; i++) await client.ping();
    // At most one attempt fails on this broker: after that the client tries it last.
    expect(retries).toBeLessThanOrEqual(1);
  });

  it('does not prevent a new client from connecting', async () => {
    broker.faults.silence(undefined, { broker: 0 });
    const other = await connect(broker.addresses);
    expect(other.metadata.brokers.size).toBe(3);
    await other.close();
  });

  it('makes a call that only it can serve reject with TIMEOUT and the cause', async () => {
    await client.createStream('foo', 'foo', { replicationFactor: 1 });
    broker.faults.silence(undefined, { broker: broker.leaderOf('foo') });
    await expect(client.fetchPartitionMetadata('foo', 0, { timeout: 800 })).rejects.toMatchObject({
      code: expect.stringMatching(/TIMEOUT|CONNECTION/),
      stream: 'foo',
      partition: 0,
    });
  });

  it('is used again when it responds', async () => {
    const speak = broker.faults.silence();
    await expect(client.ping({ timeout: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    speak();
    expect(await client.ping()).toBeGreaterThan(0);
    await client.createStream('foo', 'foo');
    expect(await client.publish('foo', 'x')).toMatchObject({ offset: 0n });
  });

  it('does not prevent the client from closing', async () => {
    await client.createStream('foo', 'foo');
    await client.publish('foo', 'x');
    broker.faults.silence();
    const waiting = client.publish('foo', 'never acknowledged', { timeout: HOUR }).catch((error: unknown) => error);
    await client.close({ timeout: 100 });
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
  });
});

describe('a metadata leader that freezes', () => {
  it('never responds to forwarded calls, and the client retries them until the new leader responds', async () => {
    // With this setting brokers keep a lost metadata leader for half a second, as the server does.
    const settings = { 'clustering.replica.max.leader.timeout': '15s' };
    const slow = closing(await TestBroker.start({ brokers: 3, cursorsPartitions: 0, settings }));
    const whole = closing(await connect(slow.addresses));
    for (const name of ['a', 'b', 'c']) await whole.createStream(name, name, { replicationFactor: 1 });
    // The client calls only the other brokers.
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
