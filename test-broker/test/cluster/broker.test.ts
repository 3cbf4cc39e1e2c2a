import { createServer } from 'node:net';
import { connect } from 'nats';
import { describe, expect, it } from 'vitest';
import { closing } from '../../../test/support/closing.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { TestBroker } from '../../src/index.js';
import { ApiClient, eventually } from './clients.js';
import { known, running } from './running.js';

// Far longer than any test: only the broker's clock reaches it.
const HOUR = 3_600_000;

/** Open network handles of the process. */
function sockets(): string[] {
  return process.getActiveResourcesInfo().filter((resource) => resource.startsWith('TCP'));
}

/** Two brokers on ports below those that the system assigns; another pair when one of them is in use. */
async function onFreePair() {
  for (let attempt = 1; ; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    try {
      return { ...(await running({ port, brokers: 2 })), port };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 10) throw error;
    }
  }
}

describe('TestBroker.start', () => {
  it('serves calls on a free port of the loopback interface', async () => {
    const { broker, client } = await running();
    expect(broker.addresses).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
    expect(broker.natsUrl).toBeNull();
    await client.createStream('s');
    expect(await client.publish('s', 'x')).toMatchObject({ stream: 's', offset: 0 });
  });

  it('uses consecutive ports from the given one', async () => {
    const { broker, port } = await onFreePair();
    expect(broker.addresses).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${port + 1}`]);
  });

  it('rejects with EADDRINUSE when the port is in use, and leaves nothing open', async () => {
    const taken = closing(createServer());
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(TestBroker.start({ port, natsPort: 0 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await eventually(sockets, (open) => open.join() === 'TCPServerWrap');
    await new Promise((resolve) => taken.close(resolve));
  });

  it('rejects with BrokerOptionError for invalid options', async () => {
    await expect(TestBroker.start({ broker: 3 } as object)).rejects.toThrow('did you mean "brokers"?');
    await expect(TestBroker.start({ settings: { 'streams.encryption': true }, activityStream: true })).rejects.toThrow(
      'LIFTBRIDGE_ENCRYPTION_KEY',
    );
  });

  it('opens a NATS listener with nats: true', async () => {
    const { broker, client } = await running({ nats: true });
    await client.createStream('s', { subject: 'some.subject' });
    const connection = closing(await connect({ servers: broker.natsUrl! }));
    connection.publish('some.subject', Buffer.from('raw'));
    await eventually(
      () => broker.messages('s').map((message) => message.text()),
      (values) => values.length === 1 && values[0] === 'raw',
    );
  });
});

describe('TestBroker.messages', () => {
  it('returns the stored messages of one partition or of all', async () => {
    const { broker, client } = await running();
    await client.createStream('s', { partitions: 2 });
    await client.publish('s', '{"a":1}', { partition: 1, key: Buffer.from('k'), headers: { h: Buffer.from('v') } });
    await client.publish('s', 'first');
    expect(broker.messages('s').map((message) => [message.partition, message.text()])).toEqual([
      [0, 'first'],
      [1, '{"a":1}'],
    ]);
    const [message] = broker.messages('s', 1);
    expect(message).toMatchObject({ stream: 's', offset: 0n, subject: 's.1', replySubject: '' });
    expect(message!.json()).toEqual({ a: 1 });
    expect(message!.headers.h?.toString()).toBe('v');
    expect(() => broker.messages('t')).toThrow('stream "t" does not exist');
  });
});

describe('TestBroker.stopBroker', () => {
  it('cuts the connections, and startBroker serves the same data again on the same port', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    await client.publish('s', 'kept');
    await client.call('setStreamReadonly', { name: 's', readonly: true });
    const subscription = client.subscribe('s', {
      stopPosition: 'STOP_OFFSET',
      stopOffset: 9,
      startPosition: 'NEW_ONLY',
    });
    await broker.stopBroker(0);
    await broker.stopBroker(0);
    expect((await subscription.ended).code).toMatch(/UNAVAILABLE|RESOURCE_EXHAUSTED/);
    await expect(client.publish('s', 'x')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const [address] = broker.addresses;
    await broker.startBroker(0);
    await broker.startBroker(0);
    expect(broker.addresses[0]).toBe(address);
    await eventually(
      () => client.publish('s', 'x').catch((error: unknown) => error),
      (answer) => (answer as { code: string }).code === 'FAILED_PRECONDITION',
    );
    await client.call('setStreamReadonly', { name: 's', readonly: false });
    expect((await client.publish('s', 'next')).offset).toBe(1);
  });

  it('rejects an invalid index', async () => {
    const { broker } = await running();
    await expect(broker.stopBroker(1)).rejects.toThrow('expected broker to be an index from 0 to 0, got 1');
  });
});

describe('TestBroker.reset', () => {
  it('removes every stream, group and fault, and leaves every broker running', async () => {
    const { broker, clients, client } = await running({ brokers: 3, cursorsPartitions: 1, activityStream: true });
    await client.createStream('s', { replicationFactor: 3 });
    await client.publish('s', 'x');
    await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    const cursor = { stream: 's', cursorId: 'c' };
    const cursors = clients[broker.leaderOf('__cursors')]!;
    await cursors.call('setCursor', { ...cursor, offset: 7 });
    broker.faults.dropAcks(5);
    broker.faults.partition(0, 1);
    await broker.stopBroker(2);
    await broker.reset();
    expect(broker.faults.pending).toBe(0);
    for (const each of clients) {
      const { streamMetadata, groupMetadata } = await eventually(
        () => each.call('fetchMetadata', { groups: ['g'] }).catch(() => null),
        (answer) => answer !== null,
      );
      expect(streamMetadata.map(({ name }: { name: string }) => name).toSorted()).toEqual(['__activity', '__cursors']);
      expect(groupMetadata[0].error).toBe('UNKNOWN_GROUP');
    }
    const { offset } = await clients[broker.leaderOf('__cursors')]!.call('fetchCursor', cursor);
    expect(offset).toBe(-1);
    await client.createStream('s', { replicationFactor: 3 });
    await known('s', clients);
    expect((await client.publish('s', 'x', { ackPolicy: 'ALL' })).offset).toBe(0);
  });
});

describe('TestBroker.clock', () => {
  it('advances auto-pause', async () => {
    const { broker, client } = await running();
    await client.createStream('s', { autoPauseTime: { value: HOUR } });
    const subscription = client.subscribe('s');
    await subscription.live;
    await broker.clock.advance(0.75 * HOUR);
    await client.publish('s', 'x');
    await broker.clock.advance(0.75 * HOUR);
    expect((await client.partition('s')).newestOffset).toBe(0);
    await broker.clock.advance(0.25 * HOUR + 1);
    expect(await subscription.ended).toEqual({ code: 'FAILED_PRECONDITION', details: 'commit log was closed' });
  });

  it('advances the expiry of group members', async () => {
    const { broker, client } = await running({ groups: { consumerTimeout: 30_000 } });
    await client.createStream('s');
    await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    await broker.clock.advance(30_001);
    const { groupMetadata } = await client.call('fetchMetadata', { groups: ['g'] });
    expect(groupMetadata[0].error).toBe('UNKNOWN_GROUP');
  });

  it('advances retention by age', async () => {
    const { broker, client } = await running();
    const age = { value: HOUR };
    await client.createStream('s', { retentionMaxAge: age, segmentMaxAge: age, cleanerInterval: { value: 60_000 } });
    await client.publish('s', 'old');
    await broker.clock.advance(2 * HOUR + 120_000);
    expect(broker.messages('s')).toEqual([]);
    expect((await client.publish('s', 'new')).offset).toBe(1);
  });
});

describe('TestBroker.faults', () => {
  it('delay acks by the clock of the broker', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    broker.faults.delayAcks(HOUR);
    let acked = false;
    const publishing = client.publish('s', 'x', {}, 2 * HOUR).then(() => {
      acked = true;
    });
    await eventually(
      () => broker.messages('s').length,
      (stored) => stored === 1,
    );
    expect(acked).toBe(false);
    await broker.clock.advance(HOUR);
    await publishing;
    expect(acked).toBe(true);
  });

  it('drop acks but not messages', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    broker.faults.dropAcks(1);
    expect(await client.unacknowledged(broker.clock, 's', 'x')).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await client.publish('s', 'y')).offset).toBe(1);
  });
});

describe('TestBroker.openSubscriptions', () => {
  it('counts subscriptions per broker', async () => {
    const { broker, client } = await running({ brokers: 2 });
    await client.createStream('s');
    const subscriptions = [client.subscribe('s'), client.subscribe('s')];
    for (const { live } of subscriptions) await live;
    expect(broker.openSubscriptions).toEqual([2, 0]);
    for (const subscription of subscriptions) subscription.cancel();
    await eventually(
      () => broker.openSubscriptions,
      ([count]) => count === 0,
    );
  });
});

describe('TestBroker.close', () => {
  it('may be called twice and leaves nothing open', async () => {
    const options = { brokers: 3, nats: true, dataDir: temporaryDirectory(), activityStream: true };
    const broker = closing(await TestBroker.start(options));
    const setup = closing(new ApiClient(broker.addresses[0]!));
    await setup.createStream('s', { replicationFactor: 3 });
    const client = closing(new ApiClient(broker.addresses[broker.leaderOf('s')]!));
    await client.publish('s', 'x', { ackPolicy: 'ALL' });
    const subscription = client.subscribe('s');
    await subscription.live;
    await Promise.all([broker.close(), broker.close()]);
    expect((await subscription.ended).code).toBe('UNAVAILABLE');
    for (const each of [setup, client]) each.close();
    await eventually(sockets, (open) => open.length === 0);
  });

  it('runs at the end of an await using block', async () => {
    let address: string;
    {
      await using broker = await TestBroker.start();
      address = broker.addresses[0]!;
    }
    const client = closing(new ApiClient(address));
    await expect(client.call('fetchMetadata')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
