import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Client, connect } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';
import { StubServer } from '../support/stub-server.js';

// Long timeout: a test that reaches it hangs.
const HOUR = 3_600_000;

let broker: TestBroker;

beforeEach(async () => {
  broker = await TestBroker.start({ brokers: 3, cursorsPartitions: 1, activityStream: true });
});

afterEach(() => broker.close());

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => /TCPSocket|TLSSocket/.test(name)).length;
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('close', () => {
  it('waits for publishes in flight', async () => {
    const client = await connect(broker.addresses, PATIENT);
    await client.createStream('foo', 'foo');
    const acks = Array.from({ length: 50 }, (_, i) => client.publish('foo', `${i}`));
    await client.close();
    const offsets = (await Promise.all(acks)).map((ack) => ack?.offset);
    expect(offsets).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i)));
  });

  it('fails publishes with CLOSED when their acks do not arrive within its timeout', async () => {
    const client = await connect(broker.addresses, PATIENT);
    await client.createStream('foo', 'foo');
    broker.faults.dropAcks(1);
    const outcome = client.publish('foo', 'x').catch((error: unknown) => error);
    await client.close({ timeout: 50 });
    expect(await outcome).toMatchObject({ code: 'CLOSED' });
  });

  it('ends subscriptions cleanly', async () => {
    const client = await connect(broker.addresses, PATIENT);
    await client.createStream('foo', 'foo');
    const subscription = await client.subscribe('foo');
    const read = (async () => {
      for await (const _message of subscription);
      return 'ended';
    })();
    await client.close();
    expect(await read).toBe('ended');
  });

  it('is idempotent and is called by await using', async () => {
    let kept: Client;
    {
      await using client = await connect(broker.addresses, PATIENT);
      kept = client;
      await Promise.all([client.close(), client.close()]);
    }
    await kept.close();
    await expect(kept.ping()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('rejects an invalid option and can be called again', async () => {
    const client = await connect(broker.addresses, PATIENT);
    await expect(client.close({ timeout: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await client.close();
  });

  it('makes every later call reject with CLOSED', async () => {
    const client = await connect(broker.addresses, PATIENT);
    await client.createStream('foo', 'foo');
    await client.close();
    const drain = async () => {
      for await (const _ack of client.publishAll('foo', ['x']));
    };
    const callback = () =>
      new Promise((_, reject) => {
        client.publishAsync('foo', 'x', (error) => reject(error));
      });
    const calls: readonly (() => Promise<unknown>)[] = [
      () => client.createStream('a', 'a'),
      () => client.deleteStream('a'),
      () => client.pauseStream('a'),
      () => client.setStreamReadonly('a'),
      () => client.publish('foo', 'x'),
      callback,
      drain,
      () => client.publishToSubject('foo', 'x'),
      () => client.subscribe('foo'),
      () => client.fetchMetadata(),
      () => client.fetchPartitionMetadata('foo', 0),
      () => client.setCursor('c', 'foo', 0, 0),
      () => client.fetchCursor('c', 'foo', 0),
      () => client.activity(),
      () => client.ping(),
      () => client.flush(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(client.metadata.streams.has('foo')).toBe(true);
  });

  it('ends waiting calls immediately', async () => {
    const stub = await StubServer.start();
    onTestFinished(() => stub.stop());
    const client = await connect(stub.address, PATIENT);
    stub.on('deleteStream', () => 'silence');
    const outcome = client.deleteStream('foo', { timeout: HOUR }).catch((error: unknown) => error);
    await client.close({ timeout: HOUR });
    expect(await outcome).toMatchObject({ code: 'CLOSED' });
  });

  it('leaves no socket, no timer and no listener', async () => {
    const before = { sockets: sockets(), timers: timers() };
    const controller = new AbortController();
    const client = await connect(broker.addresses, { ...PATIENT, serverSelection: 'latency' });
    await client.createStream('foo', 'foo', { partitions: 3, replicationFactor: 3, signal: controller.signal });
    for (let i = 0; i < 20; i++) await client.publish('foo', 'x', { partition: i % 3 });
    const subscription = await client.subscribe('foo', { partition: 'all', startAt: 'earliest' });
    let seen = 0;
    for await (const _message of subscription) if (++seen === 20) break;
    await client.setCursor('c', 'foo', 0, 1n);
    await client.activity();
    await broker.stopBroker(2);
    await client.ping();
    await client.close();
    // Both ends of a connection are in this process: the broker closes its end a moment later.
    await expect.poll(() => sockets()).toBeLessThanOrEqual(before.sockets);
    await expect.poll(() => timers()).toBeLessThanOrEqual(before.timers + 1);
    expect(broker.openSubscriptions.reduce((sum, count) => sum + count, 0)).toBe(0);
  });

  it('leaves nothing open when connect fails', async () => {
    const before = sockets();
    const stub = await StubServer.start();
    onTestFinished(() => stub.stop());
    stub.on('fetchMetadata', () => 'silence');
    await expect(connect(stub.address, { connectTimeout: 200 })).rejects.toMatchObject({ code: 'CONNECTION' });
    await stub.stop();
    await expect.poll(() => sockets()).toBeLessThanOrEqual(before);
  });
});
