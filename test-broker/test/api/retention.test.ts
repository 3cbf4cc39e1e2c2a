import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const { OFFSET, EARLIEST, LATEST, TIMESTAMP } = wire.StartPosition;
const { STOP_OFFSET, STOP_LATEST, STOP_TIMESTAMP } = wire.StopPosition;
// Far longer than any test: only the broker's clock reaches it.
const TICK = 1_000_000;
const value = <T>(of: T) => ({ value: of });

let broker: TestBroker;
let api: ApiClient;
let stream = '';
let count = 10;

beforeAll(async () => {
  ({ broker, api } = await shareBroker());
});
beforeEach(() => {
  // Eleven characters: a message with a value of four bytes then has 83 bytes, and a segment holds three.
  stream = `retained-${count++}`;
});

async function create(config: Partial<wire.CreateStreamRequest>, messages: number, keys: readonly string[] = []) {
  await api.createStream(stream, { segmentMaxBytes: value(200n), cleanerInterval: value(BigInt(TICK)), ...config });
  for (let i = 0; i < messages; i++) {
    const key = Buffer.from(keys[i % keys.length] ?? '');
    await api.publish(stream, [`m${String(i).padStart(3, '0')}`], { key });
  }
}

/** The offsets from a position to the newest message, which this function publishes. */
async function offsets(request: Partial<wire.SubscribeRequest> = { startPosition: EARLIEST }): Promise<number[]> {
  const messages = api.subscribe({ stream, ...request });
  await messages.next();
  const [ack] = await api.publish(stream, ['last']);
  const read: number[] = [];
  while (read.at(-1) !== Number(ack!.offset)) read.push(Number((await messages.next()).offset));
  messages.cancel();
  return read;
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe('Subscribe on a stream whose first messages are deleted', () => {
  beforeEach(async () => {
    await create({ retentionMaxMessages: value(5n) }, 12);
    await broker.clock.advance(2 * TICK);
  });

  it.each([
    ['EARLIEST', { startPosition: EARLIEST }],
    ['OFFSET 0', { startPosition: OFFSET }],
    ['OFFSET 5', { startPosition: OFFSET, startOffset: 5n }],
  ])('begins with the first remaining message at %s', async (_, request) => {
    expect(await offsets(request)).toEqual(from(9, 12));
  });

  it('does not end at a deleted stop offset', async () => {
    expect(await offsets({ startPosition: OFFSET, stopPosition: STOP_OFFSET, stopOffset: 3n })).toEqual(from(9, 12));
  });

  it('reads nothing in reverse from a deleted offset', async () => {
    const { messages, end } = await api
      .subscribe({ stream, startPosition: OFFSET, startOffset: 2n, reverse: true })
      .all();
    expect(messages).toHaveLength(1);
    expect(end).toEqual({ status: 'UNKNOWN', message: 'EOF' });
  });
});

describe('Subscribe on a stream whose messages are all deleted', () => {
  beforeEach(async () => {
    await create({ retentionMaxAge: value(BigInt(TICK / 2)), segmentMaxAge: value(BigInt(TICK / 10)) }, 4);
    await broker.clock.advance(4 * TICK);
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ highWatermark: 3n, newestOffset: 3n });
  });

  it.each([
    ['EARLIEST', { startPosition: EARLIEST }],
    ['LATEST', { startPosition: LATEST }],
    ['TIMESTAMP 0', { startPosition: TIMESTAMP }],
    ['EARLIEST to STOP_LATEST', { startPosition: EARLIEST, stopPosition: STOP_LATEST }],
  ])('waits for the next message, which continues the offsets, at %s', async (_, request) => {
    expect(await offsets(request)).toEqual([4]);
  });

  it('fails to resolve the stop position', async () => {
    const request = { stream, startPosition: EARLIEST, stopPosition: STOP_TIMESTAMP, stopTimestamp: 2n ** 62n };
    expect(await api.subscribe(request).end()).toEqual({
      status: 'INTERNAL',
      message: 'Failed to lookup offset for timestamp: failed to find log segment for timestamp: EOF',
    });
  });

  it('has nothing to read in reverse', async () => {
    const { messages, end } = await api.subscribe({ stream, startPosition: LATEST, reverse: true }).all();
    expect(messages).toHaveLength(1);
    expect(end).toEqual({ status: 'UNKNOWN', message: 'EOF' });
  });
});

describe('Subscribe by a client that is too slow', () => {
  it('ends with UNKNOWN when its next message is deleted', async () => {
    await create({ segmentMaxBytes: value(100_000n), retentionMaxMessages: value(1n) }, 0);
    const messages = api.subscribe({ stream });
    await messages.next();
    messages.pause();
    const publishing = api.publishAsync();
    for (let i = 0; i < 200; i++) publishing.send({ stream, value: Buffer.alloc(50_000) });
    await publishing.take(200);
    publishing.cancel();
    await broker.clock.advance(3 * TICK);
    messages.resume();
    const { messages: read, end } = await messages.all();
    expect(read.length).toBeLessThan(200);
    expect(end).toEqual({ status: 'UNKNOWN', message: 'failed to read message headers: segment has been closed' });
  });
});

describe('the cleaner', () => {
  it('keeps the active segment at any age', async () => {
    await create({ retentionMaxAge: value(BigInt(TICK / 2)), segmentMaxBytes: value(1_000_000n) }, 3);
    await broker.clock.advance(5 * TICK);
    expect(await offsets()).toEqual(from(0, 3));
  });

  it('deletes whole segments to keep to the limit in bytes', async () => {
    await create({ retentionMaxBytes: value(500n) }, 12);
    await broker.clock.advance(2 * TICK);
    expect(await offsets()).toEqual(from(6, 12));
  });

  it('keeps the last message of each key, and messages without a key, after compaction', async () => {
    // With a key of one byte a segment would hold two messages.
    await create({ compactEnabled: value(true), segmentMaxBytes: value(220n) }, 12, ['a', 'b', '', 'c']);
    await broker.clock.advance(3 * TICK);
    expect(await offsets()).toEqual([2, 6, 8, 9, 10, 11, 12]);
  });

  it('finds no timestamp while the active segment is empty, as on the server', async () => {
    await create({ segmentMaxBytes: value(1_000_000n), segmentMaxAge: value(BigInt(TICK / 10)) }, 3);
    await broker.clock.advance(2 * TICK);
    expect(await offsets({ startPosition: TIMESTAMP })).toEqual([3]);
  });
});
