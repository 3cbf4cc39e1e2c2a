import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, type ClientOptions, connect, type Logger } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

let broker: TestBroker;
const clients: Client[] = [];

const open = async (options?: ClientOptions): Promise<Client> => {
  const client = await connect(broker.addresses, { ...PATIENT, ...options });
  clients.push(client);
  return client;
};

beforeEach(async () => {
  broker = await TestBroker.start({ brokers: 3, cursorsPartitions: 3 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await broker.close();
});

/** Collects the messages of a diagnostics channel until `stop`. */
const listen = (name: string) => {
  const messages: Record<string, unknown>[] = [];
  const receive = (message: unknown): void => void messages.push(message as Record<string, unknown>);
  const target = channel(name);
  target.subscribe(receive);
  return { messages, stop: () => target.unsubscribe(receive) };
};

describe('events', () => {
  it('can be serialized as JSON, on the client and on the diagnostics channels', async () => {
    const heard = listen('liftbridge:metadata');
    const client = await open();
    await client.createStream('foo', 'foo');
    const replaced = once(client, 'metadata');
    await client.fetchMetadata({ streams: ['foo'] });
    const [metadata] = await replaced;
    heard.stop();
    const streams = { foo: { name: 'foo', partitions: { 0: { newestOffset: '-1' } } } };
    expect(JSON.parse(JSON.stringify(metadata))).toMatchObject({ streams });
    expect(JSON.parse(JSON.stringify(client.metadata))).toMatchObject({ streams });
    expect(Object.keys(JSON.parse(JSON.stringify(heard.messages.at(-1))))).toEqual(['metadata']);
    const rebalanced = once(client, 'rebalance');
    const consumer = client.createConsumer('billing', { consumerId: 'c1' });
    await consumer.subscribe(['foo']);
    const [rebalance] = await rebalanced;
    expect(JSON.parse(JSON.stringify(rebalance))).toMatchObject({
      ...{ groupId: 'billing', consumerId: 'c1', epoch: expect.stringMatching(/^\d+$/), assignments: { foo: [0] } },
    });
    expect(JSON.stringify(consumer.assignments)).toBe('{"foo":[0]}');
  });

  it('report connect for every broker on the diagnostics channel, with the client', async () => {
    const heard = listen('liftbridge:connect');
    const client = await open();
    heard.stop();
    expect(heard.messages.length).toBeGreaterThan(0);
    expect(heard.messages[0]).toMatchObject({ client, broker: { address: expect.stringMatching(/^127\.0\.0\.1:/) } });
  });

  it('report disconnect when a broker stops, and connect when it is back', async () => {
    const client = await open();
    await client.createStream('foo', 'foo', { replicationFactor: 1 });
    await client.publish('foo', 'x');
    const leader = broker.leaderOf('foo');
    const gone = once(client, 'disconnect');
    await broker.stopBroker(leader);
    const [{ broker: lost, error }] = (await gone) as [{ broker: { address: string }; error: unknown }];
    expect(lost.address).toBe(broker.addresses[leader]);
    expect(error).toMatchObject({ code: 'CONNECTION' });
    const back = once(client, 'connect');
    await broker.startBroker(leader);
    expect(await back).toEqual([{ broker: lost }]);
  });

  it('report leaderChange and metadata when a leader moves', async () => {
    const client = await open();
    await client.createStream('foo', 'foo', { replicationFactor: 3 });
    const from = broker.leaderOf('foo');
    const to = (from + 1) % 3;
    const heard = listen('liftbridge:leaderChange');
    const changed = once(client, 'leaderChange');
    const refreshed = once(client, 'metadata');
    await broker.moveLeader('foo', 0, to);
    await client.fetchMetadata({ streams: ['foo'] });
    heard.stop();
    const ids = [...client.metadata.brokers.values()];
    const idOf = (index: number) => ids.find(({ address }) => address === broker.addresses[index])?.id;
    const expected = { stream: 'foo', partition: 0, from: idOf(from), to: idOf(to) };
    expect(await changed).toEqual([expected]);
    expect(await refreshed).toEqual([client.metadata]);
    expect(heard.messages).toEqual([{ client, ...expected }]);
  });

  it('report retry with operation, attempt, delay and error', async () => {
    const client = await open({ retry: { minDelay: 3 } });
    broker.faults.rejectNext('DeleteStream', 'UNAVAILABLE', 'not now');
    const retried = once(client, 'retry');
    await client
      .deleteStream('none')
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'NO_SUCH_STREAM' }));
    const [event] = await retried;
    expect(event).toMatchObject({ operation: 'DeleteStream', attempt: 1, error: { code: 'CONNECTION' } });
    // The delay minus its random part, which is at most half of it.
    const { delay } = event as { delay: number };
    expect([delay >= 1.5, delay <= 3]).toEqual([true, true]);
  });

  it('report asyncError for failures without an awaiting caller, and never error', async () => {
    const client = await open();
    const heard = listen('liftbridge:asyncError');
    const reported = once(client, 'asyncError');
    await client.createStream('foo', 'foo');
    client.publishAsync('foo', 'x', () => {
      throw new Error('a callback that throws');
    });
    const [error] = await reported;
    heard.stop();
    expect(error).toMatchObject({ code: 'HANDLER_FAILED' });
    expect(heard.messages).toEqual([{ client, error }]);
    expect(client.listenerCount('error')).toBe(0);
  });

  it('are also written to the logger, as an object and a message', async () => {
    const lines: [string, object, string][] = [];
    const log = (level: string) => (context: object, message: string) => void lines.push([level, context, message]);
    const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
    await open({ logger });
    expect(lines).toContainEqual([
      'info',
      expect.objectContaining({ address: expect.any(String) }),
      'broker connected',
    ]);
  });
});

describe('leaders that move', () => {
  it('are found by calls that only the leader serves', async () => {
    const client = await open();
    await client.createStream('foo', 'foo', { replicationFactor: 3 });
    for (const to of [0, 1, 2]) {
      await broker.moveLeader('foo', 0, to);
      const info = await client.fetchPartitionMetadata('foo', 0);
      expect(info.leader?.address).toBe(broker.addresses[to]);
    }
  });

  it('are replaced by new leaders, for which calls wait, when their broker stops', async () => {
    const client = await open();
    await client.createStream('foo', 'foo', { replicationFactor: 3 });
    const before = broker.leaderOf('foo');
    await broker.stopBroker(before);
    const info = await client.fetchPartitionMetadata('foo', 0);
    expect(info.leader?.address).not.toBe(broker.addresses[before]);
  });

  it('do not fail a call, even when connections are cut as well', async () => {
    const client = await open();
    await client.createStream('foo', 'foo', { replicationFactor: 3 });
    await client.publish('foo', 'x');
    for (let i = 0; i < 3; i++) {
      broker.faults.cutConnections();
      expect(await client.ping()).toBeGreaterThan(0);
      expect((await client.fetchPartitionMetadata('foo', 0)).newestOffset).toBe(0n);
    }
  });

  it('do not prevent cursors from being stored and read', async () => {
    const client = await open();
    for (let i = 0; i < 6; i++) await client.setCursor(`c${i}`, 'foo', i, 1n);
    await broker.stopBroker(broker.leaderOf('__cursors', 0));
    for (let i = 0; i < 6; i++) await client.setCursor(`c${i}`, 'foo', i, BigInt(i));
    for (let i = 0; i < 6; i++) expect(await client.fetchCursor(`c${i}`, 'foo', i)).toBe(BigInt(i));
  });
});
