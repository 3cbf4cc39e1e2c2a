import { type Client, type Consumer, connect, type Message } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { bufferBytes } from '../support/memory.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';
import { LONG_TIMEOUTS, OFTEN } from './consumer-harness.js';

let broker: TestBroker;
let client: Client;

beforeAll(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 3, groups: LONG_TIMEOUTS });
});
afterAll(() => broker.close());
beforeEach(async () => {
  await broker.reset();
  client = await connect(broker.addresses as string[], PATIENT);
  await client.createStream('orders', 'orders', { partitions: 2 });
});
afterEach(() => client.close());

async function publish(count: number, partition = 0, stream = 'orders'): Promise<void> {
  for (let i = 0; i < count; i++) await client.publish(stream, `${partition}-${i}`, { partition });
}

/** Reads this many messages until the last one is processed, and continues to read. */
async function take(messages: AsyncIterable<Message>, count: number): Promise<string[]> {
  const texts: string[] = [];
  const iterator = messages[Symbol.asyncIterator]();
  while (texts.length < count) texts.push((await iterator.next()).value!.text());
  void iterator.next().catch(() => undefined);
  return texts;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: { code?: string }) => error.code ?? String(error),
  );
}

describe('consumer.subscribe', () => {
  it('delivers the messages that are published after it has resolved, with the default autoOffset', async () => {
    await publish(3);
    const messages = await client.createConsumer('group').subscribe(['orders']);
    await client.publish('orders', 'fresh');
    expect(await take(messages, 1)).toEqual(['fresh']);
  });

  it.each([
    ['new', ['late']],
    ['latest', ['0-2', 'late']],
    ['earliest', ['0-0', '0-1', '0-2', 'late']],
  ] as const)('starts at autoOffset %s when the group has no position', async (autoOffset, expected) => {
    await publish(3);
    const messages = await client.createConsumer('group', { autoOffset }).subscribe(['orders']);
    await client.publish('orders', 'late');
    expect(await take(messages, expected.length)).toEqual(expected);
  });

  it('throws NO_OFFSET in the loop when the group has no position and autoOffset is none', async () => {
    const messages = await client.createConsumer('group', { autoOffset: 'none' }).subscribe(['orders']);
    const failure = take(messages, 1);
    await expect(failure).rejects.toMatchObject({ code: 'NO_OFFSET', stream: 'orders' });
  });

  it('continues after the cursor of the group, which go-liftbridge stores under the same name', async () => {
    await publish(5);
    await client.setCursor('__group:group', 'orders', 0, 2n);
    await client.setCursor('__group:group', 'orders', 1, 0n);
    const messages = await client.createConsumer('group', { autoOffset: 'earliest' }).subscribe(['orders']);
    expect(await take(messages, 2)).toEqual(['0-3', '0-4']);
  });

  it('misses no message that is published to an empty partition while the group has no member', async () => {
    const first = client.createConsumer('group');
    await first.subscribe(['orders']);
    await first.close();
    await publish(2);
    const messages = await client.createConsumer('group').subscribe(['orders']);
    expect(await take(messages, 2)).toEqual(['0-0', '0-1']);
  });

  it('applies autoOffset when the position of the group belongs to an earlier stream of the same name', async () => {
    await publish(5);
    const first = client.createConsumer('group', { autoOffset: 'earliest' });
    await take(await first.subscribe(['orders']), 5);
    await first.close();
    await client.deleteStream('orders');
    await client.createStream('orders', 'orders', { partitions: 2 });
    await publish(2);
    const messages = await client.createConsumer('group', { autoOffset: 'earliest' }).subscribe(['orders']);
    expect(await take(messages, 2)).toEqual(['0-0', '0-1']);
  });

  it('rejects with CONSUMER_EXISTS for the id of another member, and when it is already subscribed', async () => {
    const first = client.createConsumer('group', { consumerId: 'me' });
    await first.subscribe(['orders']);
    expect(await codeOf(client.createConsumer('group', { consumerId: 'me' }).subscribe(['orders']))).toBe(
      'CONSUMER_EXISTS',
    );
    expect(await codeOf(first.subscribe(['orders']))).toBe('CONSUMER_EXISTS');
  });

  it('rejects with NO_SUCH_STREAM for a stream that does not exist', async () => {
    expect(await codeOf(client.createConsumer('group').subscribe(['orders', 'nope']))).toBe('NO_SUCH_STREAM');
  });

  it('rejects with CURSORS_DISABLED before it joins when cursors are disabled on the server', async () => {
    await using plain = await TestBroker.start({ cursorsPartitions: 0 });
    await using other = await connect(plain.addresses as string[], PATIENT);
    await other.createStream('orders', 'orders');
    await expect(other.createConsumer('group').subscribe(['orders'])).rejects.toMatchObject({
      code: 'CURSORS_DISABLED',
      message: expect.stringContaining('cursorsPartitions on a test broker'),
    });
    expect((await other.fetchMetadata({ streams: ['orders'], groups: ['group'] })).groups.size).toBe(0);
  });

  it('rejects with CLOSED after close, and with the reason of an aborted signal', async () => {
    const consumer = client.createConsumer('group');
    await consumer.close();
    expect(await codeOf(consumer.subscribe(['orders']))).toBe('CLOSED');
    const aborted = client.createConsumer('group').subscribe(['orders'], { signal: AbortSignal.abort('enough') });
    await expect(aborted).rejects.toBe('enough');
  });

  it('is retried while two members create their group at the same time', async () => {
    broker.faults.rejectNext('JoinConsumerGroup', 'FAILED_PRECONDITION', 'consumer group already exists');
    broker.faults.rejectNext('JoinConsumerGroup', 'INTERNAL', 'no known metadata leader');
    const consumer = client.createConsumer('group');
    await consumer.subscribe(['orders']);
    expect(consumer.assignments).toEqual(new Map([['orders', [0, 1]]]));
  });
});

describe('the loop of a consumer', () => {
  it('counts a message as processed when it requests the next one', async () => {
    await publish(3);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: false });
    const iterator = (await consumer.subscribe(['orders']))[Symbol.asyncIterator]();
    await iterator.next();
    await consumer.checkpoint();
    expect(await client.fetchCursor('__group:group', 'orders', 0)).toBe(-1n);
    await iterator.next();
    await consumer.checkpoint();
    expect(await client.fetchCursor('__group:group', 'orders', 0)).toBe(0n);
  });

  it('stores a checkpoint and leaves on break, without counting the current message', async () => {
    await publish(3);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    for await (const message of await consumer.subscribe(['orders'])) if (message.offset === 1n) break;
    expect(await client.fetchCursor('__group:group', 'orders', 0)).toBe(0n);
    expect((await client.fetchMetadata({ streams: ['orders'], groups: ['group'] })).groups.size).toBe(0);
    expect(consumer.assignments.size).toBe(0);
  });

  it('ends cleanly after close, which also returns soon when it is called inside the loop', async () => {
    await publish(2);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    for await (const _ of await consumer.subscribe(['orders'])) await consumer.close();
    expect(consumer.assignments.size).toBe(0);
  });

  it('throws the reason of its signal immediately, and leaves the group in the background', async () => {
    const consumer = client.createConsumer('group');
    const stop = new AbortController();
    const messages = await consumer.subscribe(['orders'], { signal: stop.signal });
    const next = messages[Symbol.asyncIterator]().next();
    broker.faults.rejectNext('LeaveConsumerGroup', 'UNAVAILABLE', 'not now', 1_000);
    stop.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    broker.faults.clear();
    await consumer.close();
    expect((await client.fetchMetadata({ streams: ['orders'], groups: ['group'] })).groups.size).toBe(0);
  });

  it('throws STREAM_DELETED when the last of its streams is deleted, and continues while it has other streams', async () => {
    await client.createStream('views', 'views');
    const errors: unknown[] = [];
    client.on('asyncError', (error) => errors.push(error));
    const consumer = client.createConsumer('group');
    const messages = await consumer.subscribe(['orders', 'views']);
    const seen: string[] = [];
    const loop = (async () => {
      for await (const message of messages) seen.push(message.text());
    })();
    await client.deleteStream('views');
    await eventually('the first deletion is reported', () => errors.length > 0);
    expect(errors).toMatchObject([{ code: 'STREAM_DELETED', stream: 'views' }]);
    await client.publish('orders', 'still');
    await eventually('the other stream is read', () => seen.length > 0);
    await client.deleteStream('orders');
    await expect(loop).rejects.toMatchObject({ code: 'STREAM_DELETED', stream: 'orders' });
  });

  it('keeps memory bounded while it is blocked', async () => {
    const value = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 400; i++) await client.publish('orders', value, { partition: i % 2 });
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    const iterator = (await consumer.subscribe(['orders']))[Symbol.asyncIterator]();
    await iterator.next();
    await turns();
    // Both sides are in this process: the broker's copy is 25 MiB, and the consumer must hold far less than a second copy.
    // Garbage collection frees buffers in the background, later on a busy machine.
    await expect.poll(bufferBytes).toBeLessThan(2 * 400 * value.length);
    let count = 1;
    for (; count < 400; count++) await iterator.next();
    expect(count).toBe(400);
  });
});

describe('a rebalance', () => {
  it('calls onAssigned, onRevoked and the rebalance event, with onRevoked before the last checkpoint', async () => {
    await publish(2, 0);
    await publish(2, 1);
    const told: string[] = [];
    const cursors: bigint[] = [];
    const first = client.createConsumer('group', {
      consumerId: 'a',
      ...OFTEN,
      autoOffset: 'earliest',
      autoCheckpoint: false,
      onAssigned: (stream, partitions) => void told.push(`+${stream} ${partitions}`),
      onRevoked: async (stream, partitions) => {
        told.push(`-${stream} ${partitions}`);
        cursors.push(await client.fetchCursor('__group:group', stream, partitions[0]!));
      },
    });
    const events: Record<string, unknown[]> = { a: [], b: [] };
    client.on('rebalance', ({ consumerId, assigned, revoked }) =>
      events[consumerId]!.push([[...assigned], [...revoked]]),
    );
    await take(await first.subscribe(['orders']), 4);
    const second = client.createConsumer('group', { consumerId: 'b', ...OFTEN, autoOffset: 'earliest' });
    await second.subscribe(['orders']);
    await eventually('the first member has given a partition up', () => cursors.length === 1 && events.a!.length === 2);
    expect(told).toEqual(['+orders 0,1', '-orders 1']);
    expect(cursors).toEqual([-1n]);
    expect(events.a).toEqual([
      [[['orders', [0, 1]]], []],
      [[], [['orders', [1]]]],
    ]);
    expect(events.b).toEqual([[[['orders', [1]]], []]]);
    await expect.poll(() => client.fetchCursor('__group:group', 'orders', 1)).toBe(1n);
  });

  it('waits for onRevoked no longer than revokeTimeout', async () => {
    const first = client.createConsumer('group', {
      consumerId: 'a',
      ...OFTEN,
      revokeTimeout: 100,
      onRevoked: () => new Promise(() => undefined),
    });
    await first.subscribe(['orders']);
    const second = client.createConsumer('group', { consumerId: 'b', ...OFTEN });
    const messages = await second.subscribe(['orders']);
    await client.publish('orders', 'moved', { partition: 1 });
    expect(await take(messages, 1)).toEqual(['moved']);
  });

  it('ends the consumer with HANDLER_FAILED when onAssigned throws', async () => {
    const consumer = client.createConsumer('group', {
      onAssigned: () => {
        throw new Error('no room');
      },
    });
    const messages = await consumer.subscribe(['orders']);
    await expect(take(messages, 1)).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause: { message: 'no room' } });
  });
});

describe('checkpoints', () => {
  it('are stored on a timer', async () => {
    await publish(3);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: 50 });
    await take(await consumer.subscribe(['orders']), 3);
    await expect.poll(() => client.fetchCursor('__group:group', 'orders', 0)).toBe(2n);
  });

  it('that fail on the timer are reported as asyncError and stored later', async () => {
    await publish(3);
    const errors: unknown[] = [];
    client.on('asyncError', (error) => errors.push(error));
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: 50 });
    const messages = await consumer.subscribe(['orders']);
    broker.faults.rejectNext('SetCursor', 'INTERNAL', 'the disk is full', 1);
    await take(messages, 3);
    await eventually('the failure is reported', () => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: 'SERVER', text: 'the disk is full' });
    await expect.poll(() => client.fetchCursor('__group:group', 'orders', 0)).toBe(2n);
  });

  it('that the caller requests reject with the error of the server, and with INVALID_ARGUMENT before subscribe', async () => {
    await publish(1);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest', autoCheckpoint: false });
    expect(await codeOf(consumer.checkpoint())).toBe('INVALID_ARGUMENT');
    await take(await consumer.subscribe(['orders']), 1);
    broker.faults.rejectNext('SetCursor', 'INTERNAL', 'the disk is full', 1);
    expect(await codeOf(consumer.checkpoint())).toBe('SERVER');
    await consumer.checkpoint();
    expect(await client.fetchCursor('__group:group', 'orders', 0)).toBe(0n);
  });
});

describe('consumer.lag', () => {
  it('returns the number of committed, unprocessed messages of each partition', async () => {
    await publish(5, 0);
    await publish(2, 1);
    const consumer = client.createConsumer('group', { autoOffset: 'earliest' });
    const messages = await consumer.subscribe(['orders']);
    expect(await consumer.lag()).toEqual([
      { stream: 'orders', partition: 0, position: 0n, highWatermark: 4n, lag: 5n },
      { stream: 'orders', partition: 1, position: 0n, highWatermark: 1n, lag: 2n },
    ]);
    await take(messages, 7);
    expect((await consumer.lag()).map(({ lag }) => lag)).toEqual([0n, 0n]);
  });
});

describe('client.close', () => {
  it('stores checkpoints and makes the members leave their groups', async () => {
    await publish(3);
    const other = await connect(broker.addresses as string[], PATIENT);
    const consumer: Consumer = other.createConsumer('group', { autoOffset: 'earliest' });
    await take(await consumer.subscribe(['orders']), 3);
    await other.close();
    expect(await client.fetchCursor('__group:group', 'orders', 0)).toBe(2n);
    expect((await client.fetchMetadata({ streams: ['orders'], groups: ['group'] })).groups.size).toBe(0);
  });
});
