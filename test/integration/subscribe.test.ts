import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, describe, expect, it } from 'vitest';
import { type Client, connect, type Message, type StreamOptions, type SubscribeOptions } from '../../src/index.js';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';

const HOUR = 3_600_000;

let broker: TestBroker;
let client: Client;

async function start(options: StreamOptions = {}, settings: Record<string, unknown> = {}, brokers = 1): Promise<void> {
  broker = await TestBroker.start({ brokers, settings, cursorsPartitions: 1 });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', options);
}

afterEach(async () => {
  await client.close({ timeout: 100 });
  await broker.close();
});

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => String(n + from));
const publish = (values: readonly string[], options = {}) =>
  Promise.all(values.map((value) => client.publish('orders', value, options)));

async function collect(messages: AsyncIterable<Message>, count = Number.POSITIVE_INFINITY): Promise<Message[]> {
  const all: Message[] = [];
  for await (const message of messages) {
    all.push(message);
    if (all.length >= count) break;
  }
  return all;
}

const texts = (messages: readonly Message[]) => messages.map((message) => message.text());
const read = async (options: SubscribeOptions, count?: number) =>
  texts(await collect(await client.subscribe('orders', options), count));
const openCalls = () => broker.openSubscriptions.reduce((sum, open) => sum + open, 0);

describe('subscribe', () => {
  it('starts with messages that are published after the call by default', async () => {
    await start();
    await publish(numbers(3));
    const subscription = await client.subscribe('orders');
    expect(subscription.position).toBe(3n);
    await publish(numbers(3, 3));
    expect(texts(await collect(subscription, 3))).toEqual(numbers(3, 3));
    expect(subscription.position).toBe(6n);
  });

  it.each<[string, SubscribeOptions, string[]]>([
    ['earliest', { startAt: 'earliest' }, numbers(10)],
    ['latest', { startAt: 'latest' }, ['9']],
    ['an offset', { startAt: { offset: 7 } }, numbers(3, 7)],
    ['a bigint offset', { startAt: { offset: 8n } }, numbers(2, 8)],
    ['a time long ago', { startAt: { ago: 60_000 } }, numbers(10)],
    ['the Unix epoch', { startAt: { time: new Date(0) } }, numbers(10)],
  ])('starts at %s', async (_what, options, expected) => {
    await start();
    await publish(numbers(10));
    expect(await read({ ...options, stopAt: 'latest' })).toEqual(expected);
  });

  it('starts and ends at the time of a message', async () => {
    await start();
    const acks = await publish(numbers(10));
    const all = await collect(await client.subscribe('orders', { startAt: 'earliest', stopAt: 'latest' }));
    const time = (n: number) => all[n]!.timestamp;
    expect(acks).toHaveLength(10);
    expect(await read({ startAt: { time: time(4) }, stopAt: 'latest' })).toEqual(numbers(6, 4));
    expect(await read({ startAt: { time: time(4) + 1n }, stopAt: { time: time(7) } })).toEqual(numbers(3, 5));
    expect(await read({ startAt: 'earliest', stopAt: { time: time(7) - 1n } })).toEqual(numbers(7));
    expect(await read({ startAt: 'earliest', stopAt: { time: time(0) - 1n } })).toEqual([]);
  });

  it('waits for an offset beyond the end', async () => {
    await start();
    await publish(numbers(3));
    const subscription = await client.subscribe('orders', { startAt: { offset: 6 } });
    await publish(numbers(5, 3));
    expect(texts(await collect(subscription, 2))).toEqual(['6', '7']);
  });

  it('waits for a time in the future', async () => {
    await start();
    await publish(['old']);
    const time = BigInt(broker.clock.now() + HOUR) * 1_000_000n;
    const subscription = await client.subscribe('orders', { startAt: { time } });
    await publish(['early']);
    await broker.clock.advance(2 * HOUR);
    await publish(['late']);
    expect(texts(await collect(subscription, 1))).toEqual(['late']);
  });

  it('starts after a cursor, or at the beginning without a cursor', async () => {
    await start();
    await publish(numbers(5));
    expect(await read({ startAt: { cursor: 'me' }, stopAt: 'latest' })).toEqual(numbers(5));
    await client.setCursor('me', 'orders', 0, 2);
    expect(await read({ startAt: { cursor: 'me' }, stopAt: 'latest' })).toEqual(['3', '4']);
  });

  it('ends at an offset, even when its message does not exist yet', async () => {
    await start();
    await publish(numbers(5));
    expect(await read({ startAt: 'earliest', stopAt: { offset: 2 } })).toEqual(numbers(3));
    const reading = read({ startAt: { offset: 4 }, stopAt: { offset: 6 } });
    await expect.poll(openCalls).toBe(1);
    await turns();
    await publish(numbers(5, 5));
    expect(await reading).toEqual(numbers(3, 4));
    await expect.poll(openCalls).toBe(0);
  });

  it.each<[string, SubscribeOptions]>([
    ['nothing has been published', { startAt: 'earliest', stopAt: 'latest' }],
    ['its end is before its start', { startAt: { offset: 5 }, stopAt: { offset: 4 } }],
    ['it starts with new messages and ends with existing ones', { startAt: 'new', stopAt: 'latest' }],
    ['it ends long ago', { startAt: 'earliest', stopAt: { time: new Date(0) } }],
    ['it is read in reverse', { reverse: true }],
  ])('is an empty loop when %s', async (_what, options) => {
    await start();
    expect(await read(options)).toEqual([]);
    if (options.reverse) return;
    await publish(numbers(3));
    if (options.startAt !== 'earliest' || options.stopAt !== 'latest') expect(await read(options)).toEqual([]);
  });

  it.each([
    ['partition', { partition: -1 }],
    ['startAt', { startAt: 'soon' }],
    ['startAt', { startAt: { offset: 1, time: new Date() } }],
    ['stopAt', { stopAt: { time: new Date(Date.now() + 60_000) } }],
    ['unknown option colour', { colour: 1 }],
  ])('rejects with INVALID_ARGUMENT for an invalid %s', async (what, options) => {
    await start();
    await expect(client.subscribe('orders', options as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(what),
    });
  });

  it('rejects with NO_SUCH_STREAM and NO_SUCH_PARTITION', async () => {
    await start();
    await expect(client.subscribe('nothing')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'nothing' });
    await expect(client.subscribe('orders', { partition: 3 })).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });
});

describe("partition 'all'", () => {
  it('merges every partition, each in its own order', async () => {
    await start({ partitions: 4 });
    for (const partition of [0, 1, 2, 3]) await publish(numbers(50), { partition });
    const subscription = await client.subscribe('orders', { partition: 'all', startAt: 'earliest', stopAt: 'latest' });
    const messages = await collect(subscription);
    for (const partition of [0, 1, 2, 3])
      expect(texts(messages.filter((message) => message.partition === partition))).toEqual(numbers(50));
    expect([...subscription.positions]).toEqual([0, 1, 2, 3].map((id) => [id, 50n]));
  });

  it('ends with an empty loop when all partitions are empty', async () => {
    await start({ partitions: 20 });
    expect(await read({ partition: 'all', startAt: 'earliest', stopAt: 'latest' })).toEqual([]);
  });

  it('opens no partition when one cannot be opened', async () => {
    await start({ partitions: 12 });
    broker.faults.rejectNext('Subscribe', 'PERMISSION_DENIED');
    await expect(client.subscribe('orders', { partition: 'all' })).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect.poll(openCalls).toBe(0);
  });
});

describe('reverse', () => {
  it.each<[string, SubscribeOptions, string[]]>([
    ['the newest', {}, numbers(10).reverse()],
    ['an offset', { startAt: { offset: 4 } }, numbers(5).reverse()],
    ['beyond the end', { startAt: { offset: 50 } }, numbers(10).reverse()],
    ['the newest down to an offset', { stopAt: { offset: 7 } }, ['9', '8', '7']],
    ['the oldest', { startAt: 'earliest' }, ['0']],
  ])('reads down from %s', async (_what, options, expected) => {
    await start();
    await publish(numbers(10));
    expect(await read({ ...options, reverse: true })).toEqual(expected);
    await client.setStreamReadonly('orders');
    expect(await read({ ...options, reverse: true })).toEqual(expected);
  });

  it('has a position one below the offset of the last message', async () => {
    await start();
    await publish(numbers(10));
    const subscription = await client.subscribe('orders', { reverse: true, stopAt: { offset: 5 } });
    for await (const { offset } of subscription) expect(subscription.position).toBe(offset - 1n);
    expect(subscription.position).toBe(4n);
  });

  it('reads down from a time and to a time', async () => {
    await start();
    await publish(numbers(10));
    const all = await collect(await client.subscribe('orders', { startAt: 'earliest', stopAt: 'latest' }));
    const options = { startAt: { time: all[6]!.timestamp }, stopAt: { time: all[2]!.timestamp }, reverse: true };
    expect(await read(options)).toEqual(['6', '5', '4', '3', '2']);
  });
});

describe('batches', () => {
  it('delivers the messages that have arrived as one batch, without a gap', async () => {
    await start();
    await publish(numbers(1_000));
    const subscription = await client.subscribe('orders', { startAt: 'earliest', stopAt: 'latest' });
    const sizes: number[] = [];
    const values: string[] = [];
    await turns();
    for await (const batch of subscription.batches()) {
      sizes.push(batch.length);
      values.push(...texts(batch));
    }
    expect(values).toEqual(numbers(1_000));
    expect(Math.max(...sizes)).toBeGreaterThan(1);
    expect(subscription.position).toBe(1_000n);
  });
});

describe('the loop', () => {
  it('delivers messages in order to concurrent calls of next', async () => {
    await start();
    const subscription = await client.subscribe('orders', { startAt: 'earliest', stopAt: { offset: 2 } });
    const iterator = subscription[Symbol.asyncIterator]();
    const answers = Array.from({ length: 5 }, () => iterator.next());
    await publish(numbers(3));
    const results = await Promise.all(answers);
    expect(results.map(({ done, value }) => (done ? null : value.text()))).toEqual(['0', '1', '2', null, null]);
  });

  it('allows only one loop', async () => {
    await start();
    const subscription = await client.subscribe('orders');
    subscription[Symbol.asyncIterator]();
    expect(() => subscription.batches()[Symbol.asyncIterator]()).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it.each(['break', 'throw', 'close', 'abort', 'client.close'])('cancels the call on the server on %s', async (how) => {
    await start({ partitions: 3 });
    await publish(numbers(10));
    const controller = new AbortController();
    const reason = new Error('enough');
    const { signal } = controller;
    const subscription = await client.subscribe('orders', { partition: 'all', startAt: 'earliest', signal });
    await expect.poll(openCalls).toBe(3);
    const loop = (async () => {
      for await (const message of subscription) {
        if (message.offset < 5n) continue;
        if (how === 'break') break;
        if (how === 'throw') throw reason;
        if (how === 'close') await subscription.close();
        if (how === 'abort') controller.abort(reason);
        if (how === 'client.close') await client.close();
      }
    })();
    if (how === 'throw' || how === 'abort') await expect(loop).rejects.toBe(reason);
    else await loop;
    await expect.poll(openCalls).toBe(0);
  });

  it('ends with close and with abort while it waits', async () => {
    await start();
    const controller = new AbortController();
    const first = await client.subscribe('orders');
    const second = await client.subscribe('orders', { signal: controller.signal });
    const loops = [collect(first), collect(second)];
    await first.close();
    controller.abort(new Error('enough'));
    await expect(loops[0]).resolves.toEqual([]);
    await expect(loops[1]).rejects.toThrow('enough');
  });

  it('ends cleanly when a partition is or becomes readonly', async () => {
    await start();
    await publish(numbers(3));
    const live = read({ startAt: 'earliest' });
    await expect.poll(openCalls).toBe(1);
    await turns();
    await client.setStreamReadonly('orders');
    expect(await live).toEqual(numbers(3));
    expect(await read({ startAt: 'earliest' })).toEqual(numbers(3));
    expect(await read({ startAt: 'new' })).toEqual([]);
    expect(await read({ startAt: { offset: 99 } })).toEqual([]);
  });

  it('throws STREAM_DELETED after the delivered messages when the stream is deleted', async () => {
    await start();
    await publish(numbers(3));
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    const values: string[] = [];
    const loop = (async () => {
      for await (const message of subscription) {
        values.push(message.text());
        if (values.length === 3) await client.deleteStream('orders');
      }
    })();
    await expect(loop).rejects.toMatchObject({ code: 'STREAM_DELETED', stream: 'orders' });
    expect(values).toEqual(numbers(3));
  });

  it('throws PARTITION_PAUSED for a paused partition, and continues with resume', async () => {
    await start();
    await publish(numbers(3));
    const live = collect(await client.subscribe('orders'));
    const paused = expect(live).rejects.toMatchObject({ code: 'PARTITION_PAUSED' });
    await client.pauseStream('orders');
    await paused;
    await expect(read({ startAt: 'earliest' })).rejects.toMatchObject({ code: 'PARTITION_PAUSED' });
    await expect(read({ startAt: 'new' })).rejects.toMatchObject({ code: 'PARTITION_PAUSED' });
    expect(await read({ startAt: 'earliest', stopAt: 'latest', resume: true })).toEqual(numbers(3));
    await client.pauseStream('orders');
    const subscription = await client.subscribe('orders', { resume: true });
    expect(subscription.position).toBe(3n);
    await publish(['3']);
    expect(texts(await collect(subscription, 1))).toEqual(['3']);
  });
});

describe('retention and compaction', () => {
  // Far longer than a test takes: only the broker's clock reaches it.
  const TICK = 1_000_000;
  const cleaned = { 'streams.cleaner.interval': TICK, 'streams.segment.max.bytes': 400 };

  it('ends at a stop offset that retention has removed', async () => {
    await start({}, { ...cleaned, 'streams.retention.max.messages': 5 });
    await publish(numbers(50));
    await broker.clock.advance(3 * TICK);
    const oldest = Number(broker.messages('orders')[0]!.offset);
    expect(oldest).toBeGreaterThan(10);
    expect(await read({ startAt: 'earliest', stopAt: { offset: 4 } })).toEqual([]);
    expect(await read({ startAt: { offset: 2 }, stopAt: { offset: oldest + 1 } })).toEqual(numbers(2, oldest));
  });

  it('ends when all messages have expired, and continues with later messages', async () => {
    await start({}, { ...cleaned, 'streams.retention.max.age': 5 * TICK, 'streams.segment.max.age': TICK });
    await publish(numbers(20));
    for (let n = 0; n < 12; n++) await broker.clock.advance(TICK);
    expect(broker.messages('orders')).toEqual([]);
    expect(await read({ startAt: 'earliest', stopAt: 'latest' })).toEqual([]);
    expect(await read({ startAt: 'earliest', stopAt: { offset: 7 } })).toEqual([]);
    expect(await read({ startAt: { ago: 3_600_000 }, stopAt: 'latest' })).toEqual([]);
    expect(await read({ startAt: 'earliest', stopAt: { time: new Date() } })).toEqual([]);
    expect(await read({ reverse: true })).toEqual([]);
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    await publish(['20']);
    expect(texts(await collect(subscription, 1))).toEqual(['20']);
  });

  it('starts and ends at times while the newest segment is empty', async () => {
    await start({}, { ...cleaned, 'streams.segment.max.age': TICK });
    await publish(numbers(30));
    const all = await collect(await client.subscribe('orders', { startAt: 'earliest', stopAt: 'latest' }));
    const time = (n: number) => all[n]!.timestamp;
    await broker.clock.advance(5 * TICK);
    for (const n of [0, 1, 13, 28, 29])
      expect(await read({ startAt: { time: time(n) }, stopAt: 'latest' })).toEqual(numbers(30 - n, n));
    expect(await read({ startAt: { time: time(12) + 1n }, stopAt: { time: time(20) } })).toEqual(numbers(8, 13));
    expect(await read({ startAt: 'earliest', stopAt: { time: time(3) } })).toEqual(numbers(4));
    expect(await read({ startAt: { time: time(5) }, reverse: true })).toEqual(numbers(6).reverse());
    const live = await client.subscribe('orders', { startAt: { time: time(28) } });
    await publish(['30']);
    expect(texts(await collect(live, 3))).toEqual(['28', '29', '30']);
  });

  it('ends at a stop offset that compaction has removed', async () => {
    await start({ compactEnabled: true }, cleaned);
    for (const n of numbers(40)) await client.publish('orders', n, { key: `k${Number(n) % 4}` });
    await broker.clock.advance(2 * TICK);
    await broker.clock.advance(2 * TICK);
    const left = broker.messages('orders').map(({ offset }) => Number(offset));
    expect(left.length).toBeLessThan(30);
    const gone = numbers(40)
      .map(Number)
      .filter((n) => !left.includes(n));
    const stop = gone[Math.floor(gone.length / 2)]!;
    expect(await read({ startAt: 'earliest', stopAt: { offset: stop } })).toEqual(
      left.filter((offset) => offset <= stop).map(String),
    );
  });
});

describe('readIsrReplica', () => {
  it('reads the same messages from every replica', async () => {
    await start({ replicationFactor: 3 }, {}, 3);
    await publish(numbers(100), { ackPolicy: 'all' });
    const seen = new Set<number>();
    for (let round = 0; round < 12; round++) {
      // A bounded read might end at the broker before the test looks for it.
      const subscription = await client.subscribe('orders', { startAt: 'earliest', readIsrReplica: true });
      seen.add(broker.openSubscriptions.findIndex((open) => open > 0));
      expect(texts(await collect(subscription, 100))).toEqual(numbers(100));
      await eventually('the end at the broker', () => broker.openSubscriptions.every((open) => open === 0));
    }
    expect(seen.size).toBeGreaterThan(1);
    expect(await read({ readIsrReplica: true, reverse: true, stopAt: { offset: 90 } })).toHaveLength(10);
  });

  it('also delivers new messages from a replica', async () => {
    await start({ replicationFactor: 3 }, {}, 3);
    await publish(numbers(10));
    const subscriptions = await Promise.all(numbers(6).map(() => client.subscribe('orders', { readIsrReplica: true })));
    await publish(numbers(10, 10));
    for (const subscription of subscriptions) expect(texts(await collect(subscription, 10))).toEqual(numbers(10, 10));
  });

  it('continues without gap and duplicate when the log of the replica is truncated', async () => {
    // The leader does not change, and its followers stay in sync.
    const never = { 'clustering.replica.max.leader.timeout': '1h', 'clustering.replica.max.lag.time': '1h' };
    await start({ replicationFactor: 3 }, never, 3);
    // More than a subscription buffers in memory.
    const filler = 'x'.repeat(500_000);
    for (const value of numbers(40)) await client.publish('orders', `${value} ${filler}`, { ackPolicy: 'all' });
    const failures: string[] = [];
    client.on('resubscribe', ({ error }) => failures.push(String(error)));
    const leader = broker.leaderOf('orders');
    const followers = [0, 1, 2].filter((index) => index !== leader);
    const onFollower = () => followers.some((index) => broker.openSubscriptions[index]! > 0);
    const readers: AsyncIterator<Message>[] = [];
    while (!onFollower()) {
      const subscription = await client.subscribe('orders', { startAt: 'earliest', readIsrReplica: true });
      readers.push(subscription[Symbol.asyncIterator]());
    }
    for (const reader of readers) expect((await reader.next()).value?.offset).toBe(0n);
    for (const follower of followers) {
      broker.faults.partition(follower, leader);
      broker.truncateReplica('orders', 0, follower, 1);
    }
    const reading = readers.map(async (reader) => {
      for (let offset = 1n; offset < 40n; offset++) expect((await reader.next()).value?.offset).toBe(offset);
      await reader.return?.();
    });
    await eventually('a replica has cut its log back', () => failures.join().includes('segment not found'));
    broker.faults.heal();
    await Promise.all(reading);
  });
});
