import { getEventListeners, once } from 'node:events';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { parseSeeds } from '../../src/cluster/addresses.js';
import type { BrokerTarget } from '../../src/cluster/cluster-api.js';
import { Router } from '../../src/cluster/router.js';
import {
  Client,
  type ClientOptions,
  connect,
  LiftbridgeError,
  type Message,
  type Subscription,
} from '../../src/index.js';
import { resolveClientOptions } from '../../src/options.js';
import { DataSession } from '../../src/transport/duplex.js';
import { closing } from '../support/closing.js';
import { eventually } from '../support/eventually.js';
import { bufferBytes, usedBytes } from '../support/memory.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';

let broker: TestBroker;
let client: Client;
let writer: Client;

async function start(brokers: number, options: ClientOptions = {}): Promise<void> {
  // A failed replica delays the high watermark until it has lagged for this long.
  broker = await TestBroker.start({ brokers, settings: { 'clustering.replica.max.lag.time': 500 } });
  client = await connect(broker.addresses, { ...PATIENT, ...options });
  writer = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', { replicationFactor: 'max' });
}

afterEach(async () => {
  await Promise.all([client, writer].map((each) => each.close({ timeout: 100 })));
  await broker.close();
});

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => String(n + from));
const stored = () => broker.messages('orders').map(({ value }) => Buffer.from(value ?? []).toString());
const texts = (messages: readonly Message[]) => messages.map((message) => message.text());

/** Publishes each value until it is acknowledged: a message that a failed attempt has stored appears twice. */
async function publish(values: readonly string[]): Promise<void> {
  for (const value of values) {
    for (;;) {
      try {
        await writer.publish('orders', value, { ackPolicy: 'all', timeout: 1_000 });
        break;
      } catch (error) {
        if (LiftbridgeError.is(error, 'CLOSED')) throw error;
        // Not in a tight loop: a stopped broker refuses immediately.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

async function inSync(): Promise<number | undefined> {
  const { streams } = await writer.fetchMetadata({ streams: ['orders'] });
  return streams.get('orders')?.partitions.get(0)?.isr.length;
}

async function take(subscription: Subscription, count: number): Promise<Message[]> {
  const all: Message[] = [];
  for await (const message of subscription) {
    all.push(message);
    if (all.length >= count) break;
  }
  return all;
}

/** Reads up to the newest message of the log, and compares the result with the log. */
async function expectWholeLog(reading: Promise<Message[]>, from = 0): Promise<void> {
  const messages = await reading;
  expect(messages.map(({ offset }) => Number(offset))).toEqual(messages.map((_, n) => n + from));
  expect(texts(messages)).toEqual(stored().slice(from, from + messages.length));
}

describe('a subscription whose connection breaks', () => {
  it.each(['before anything arrived', 'in the middle'])('continues without gap and duplicate: %s', async (when) => {
    await start(1);
    await publish(numbers(3));
    const subscription = await client.subscribe('orders');
    const resubscribed: object[] = [];
    client.on('resubscribe', (event) => resubscribed.push(event));
    const reading = take(subscription, 20);
    if (when !== 'before anything arrived') await publish(numbers(10, 3));
    broker.faults.cutConnections();
    await publish(numbers(20, 13));
    await expectWholeLog(reading, 3);
    expect(resubscribed[0]).toMatchObject({ stream: 'orders', partition: 0, error: { code: 'CONNECTION' } });
  });

  it("delivers with 'new' the messages that were published while it was disconnected, when none had arrived before", async () => {
    await start(1, { retry: { maxDelay: 50 } });
    await publish(numbers(3));
    const subscription = await client.subscribe('orders');
    broker.faults.rejectNext('Subscribe', 'UNAVAILABLE', 'not now', 5);
    broker.faults.cutConnections();
    await publish(numbers(5, 3));
    await expectWholeLog(take(subscription, 5), 3);
  });

  it('continues after a restart of the broker', async () => {
    await start(1);
    await publish(numbers(10));
    const reading = take(await client.subscribe('orders', { startAt: 'earliest' }), 25);
    const noticed = once(client, 'disconnect');
    await broker.stopBroker(0);
    await noticed;
    await broker.startBroker(0);
    await publish(numbers(15, 10));
    await expectWholeLog(reading);
  });

  it('continues after resets, refusals, truncated responses and GOAWAY', async () => {
    await start(1);
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const reading = take(subscription, 60);
    const troubles = [
      () => broker.faults.cutMidFrame('Subscribe'),
      () => broker.faults.goAway(),
      () => broker.faults.resetNext('Subscribe', 'ENHANCE_YOUR_CALM', 2),
      () => broker.faults.rejectNext('Subscribe', 'INTERNAL', 'commit log was closed'),
    ];
    for (let round = 0; round < 12; round++) {
      troubles[round % 3]!();
      if (round % 3 === 2) broker.faults.cutConnections();
      await publish(numbers(5, round * 5));
    }
    await expectWholeLog(reading);
  });

  it('throws CONNECTION when the brokers are unreachable for longer than resubscribeTimeout', async () => {
    await start(1, { resubscribeTimeout: 400 });
    await publish(['0']);
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const values: string[] = [];
    const loop = (async () => {
      for await (const message of subscription) values.push(message.text());
    })();
    await expect.poll(() => values.length).toBe(1);
    await broker.stopBroker(0);
    await expect(loop).rejects.toMatchObject({ code: 'CONNECTION', reason: 'lost', stream: 'orders' });
  });

  it('throws immediately with resubscribeTimeout 0', async () => {
    await start(1, { resubscribeTimeout: 0 });
    const reading = take(await client.subscribe('orders'), 1);
    const failed = expect(reading).rejects.toMatchObject({ code: 'CONNECTION' });
    broker.faults.cutConnections();
    await failed;
  });

  it('ends when every call fails immediately without a message', async () => {
    await start(1, { resubscribeTimeout: 500 });
    await publish(['0']);
    const reading = take(await client.subscribe('orders'), 1);
    const failed = expect(reading).rejects.toMatchObject({ code: 'CONNECTION' });
    const cutting = setInterval(() => broker.faults.cutConnections(), 5);
    onTestFinished(() => clearInterval(cutting));
    await failed;
    clearInterval(cutting);
  });

  it('ends with close while it is disconnected', async () => {
    await start(1);
    const subscription = await client.subscribe('orders');
    const reading = take(subscription, 1);
    const noticed = once(client, 'disconnect');
    await broker.stopBroker(0);
    await noticed;
    await turns();
    await subscription.close();
    expect(await reading).toEqual([]);
  });

  it('treats a recreated stream of the same name as another stream', async () => {
    await start(1, { retry: { maxDelay: 50 } });
    await publish(numbers(5));
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const reading = take(subscription, 6);
    const failed = expect(reading).rejects.toMatchObject({ code: 'STREAM_DELETED', stream: 'orders' });
    await expect.poll(() => subscription.position).toBe(5n);
    broker.faults.rejectNext('Subscribe', 'UNAVAILABLE', 'not now', 4);
    broker.faults.cutConnections();
    await writer.deleteStream('orders');
    await writer.createStream('orders', 'orders');
    await publish(numbers(10));
    await failed;
  });

  it('throws STREAM_DELETED when the stream was deleted meanwhile', async () => {
    await start(1);
    const reading = take(await client.subscribe('orders'), 1);
    const failed = expect(reading).rejects.toMatchObject({ code: 'STREAM_DELETED' });
    broker.faults.rejectNext('Subscribe', 'UNAVAILABLE', 'not now', 2);
    broker.faults.cutConnections();
    await writer.deleteStream('orders');
    await failed;
  });
});

describe('a subscription whose leader changes', () => {
  it('moves to the new leader while the old leader is alive and reports nothing', async () => {
    await start(3);
    const reading = take(await client.subscribe('orders', { startAt: 'earliest' }), 300);
    for (let round = 0; round < 6; round++) {
      await publish(numbers(50, round * 50));
      await broker.moveLeader('orders', 0, (broker.leaderOf('orders') + 1) % 3);
      await client.fetchMetadata({ streams: ['orders'] });
    }
    await expectWholeLog(reading);
    const leader = broker.leaderOf('orders');
    expect(broker.openSubscriptions.every((open, index) => open === 0 || index === leader)).toBe(true);
  });

  it('moves to the new leader when the old leader fails, repeatedly', async () => {
    await start(3);
    const reading = take(await client.subscribe('orders', { startAt: 'earliest' }), 60);
    for (let round = 0; round < 2; round++) {
      await publish(numbers(30, round * 30));
      const leader = broker.leaderOf('orders');
      await broker.stopBroker(leader);
      await publish([`during-${round}`]);
      await broker.startBroker(leader);
      await broker.ready();
      await expect.poll(inSync).toBe(3);
    }
    await expectWholeLog(reading);
  });

  it("misses no message with 'new' when the leader fails before the first message", async () => {
    await start(3);
    await publish(numbers(7));
    const subscription = await client.subscribe('orders');
    await broker.stopBroker(broker.leaderOf('orders'));
    await publish(numbers(5, 7));
    await expectWholeLog(take(subscription, 5), 7);
  });
});

/** A router whose connections count a peer as dead after a short silence. */
class ImpatientRouter extends Router {
  readonly sessions = new Map<string, DataSession>();

  override async session(target: BrokerTarget): Promise<DataSession> {
    const known = this.sessions.get(target.address);
    if (known?.state === 'open') return known;
    const [host, port] = target.address.split(':');
    const session = new DataSession({
      host: host!,
      port: Number(port),
      keepaliveTime: 200,
      keepaliveTimeout: 200,
      connectTimeout: 500,
    });
    this.sessions.set(target.address, session);
    await session.connect();
    return session;
  }
}

describe('a peer that goes silent', () => {
  it('is disconnected, and reading and publishing continue', async () => {
    await start(1);
    const router = new ImpatientRouter(parseSeeds(broker.addresses), resolveClientOptions());
    const impatient = closing(Client.create(router));
    closing({ close: () => Promise.all([...router.sessions.values()].map((session) => session.close())) });
    await router.connect();
    await publish(numbers(3));
    const subscription = await impatient.subscribe('orders', { startAt: 'earliest' });
    const reading = take(subscription, 6);
    await impatient.publish('orders', '3');
    const resubscribed = once(impatient, 'resubscribe');
    const speak = broker.faults.silence();
    const inFlight = impatient.publish('orders', 'unknown', { timeout: 60_000 });
    await expect(inFlight).rejects.toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    speak();
    await resubscribed;
    await impatient.publish('orders', 'after');
    await expectWholeLog(reading);
  });
});

describe('memory', () => {
  it('stays bounded while a slow loop reads 200 MB', async () => {
    await start(1);
    const size = 64 * 1024;
    const count = (200 * 1024 * 1024) / size;
    const value = Buffer.alloc(size, 'x');
    const window = 200;
    for (let sent = 0; sent < count; sent += window)
      await Promise.all(Array.from({ length: Math.min(window, count - sent) }, () => writer.publish('orders', value)));
    const before = usedBytes();
    let most = 0;
    let read = 0;
    const subscription = await client.subscribe('orders', { startAt: 'earliest', stopAt: 'latest' });
    for await (const message of subscription) {
      expect(message.offset).toBe(BigInt(read++));
      if (read % 100 !== 0) continue;
      // A slow loop: the broker could send all messages meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 20));
      most = Math.max(most, usedBytes() - before);
    }
    expect(read).toBe(count);
    expect(most).toBeLessThan(64 * 1024 * 1024);
  });

  it('pauses the server, where further messages wait', async () => {
    await start(1);
    const value = Buffer.alloc(64 * 1024, 'x');
    for (let n = 0; n < 10; n++) await Promise.all(numbers(100).map(() => writer.publish('orders', value)));
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const iterator = subscription[Symbol.asyncIterator]();
    await iterator.next();
    await eventually('nothing more is sent', async () => {
      const buffered = bufferBytes();
      await turns();
      return bufferBytes() - buffered < value.length;
    });
    const buffered = bufferBytes();
    await turns();
    expect(bufferBytes() - buffered).toBeLessThan(4 * 1024 * 1024);
    await subscription.close();
  });
});

describe('after close', () => {
  it('no timer, no listener and no open call remains', async () => {
    await start(3);
    const controller = new AbortController();
    const { signal } = controller;
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    const own = await connect(broker.addresses, PATIENT);
    await Promise.all(numbers(20).map((n) => own.publish('orders', n, { signal })));
    for (let n = 0; n < 20; n++) {
      const subscription = await own.subscribe('orders', { startAt: 'earliest', signal });
      await take(subscription, 5);
    }
    const open = await Promise.all(numbers(15).map(() => own.subscribe('orders', { signal })));
    await own.publish('orders', 'x', { timeout: 60_000 });
    await own.close();
    expect(open.every((subscription) => subscription.position === 20n)).toBe(true);
    await expect.poll(() => broker.openSubscriptions).toEqual([0, 0, 0]);
    await expect.poll(timers).toBeLessThanOrEqual(before);
    for (const subscription of open) expect(await take(subscription, 1)).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
