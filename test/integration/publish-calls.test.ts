import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { decodeAck, encodeAck } from '../../src/envelope.js';
import {
  type Ack,
  type Client,
  type ClientOptions,
  connect,
  type PublishResult,
  toPartition,
} from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

let broker: TestBroker;
let client: Client;
const others: Client[] = [];

const open = async (options: ClientOptions): Promise<Client> => {
  const other = await connect(broker.addresses, { ...PATIENT, ...options });
  others.push(other);
  return other;
};

beforeEach(async () => {
  broker = await TestBroker.start({ activityStream: true });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', { partitions: 2 });
});

afterEach(async () => {
  for (const other of [client, ...others.splice(0)]) await other.close();
  await broker.close();
});

const stored = (partition = 0): string[] => broker.messages('orders', partition).map((message) => message.text());

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe('publish', () => {
  it("resolves with an ack, or with null with ackPolicy 'none', also in its types", async () => {
    const ack = await client.publish('orders', 'x');
    expectTypeOf(ack).toEqualTypeOf<Ack>();
    expect(ack.offset).toBe(0n);
    const none = await client.publish('orders', 'x', { ackPolicy: 'none' });
    expectTypeOf(none).toEqualTypeOf<null>();
    expect(none).toBeNull();
    const policy = 'all' as 'all' | 'none';
    expectTypeOf(client.publish('orders', 'x', { ackPolicy: policy })).resolves.toEqualTypeOf<Ack | null>();
    expectTypeOf(client.publishToSubject('orders', 'x')).resolves.toEqualTypeOf<Ack>();
    expectTypeOf(client.publishToSubject('orders', 'x', { ackPolicy: 'none' })).resolves.toEqualTypeOf<null>();
  });
});

describe('ack.partition', () => {
  it('is the partition that stored the message', async () => {
    expect((await client.publish('orders', 'x', { partition: 1 })).partition).toBe(1);
    expect((await client.publish('orders', 'x')).partition).toBe(0);
    expect((await client.publishToSubject('orders', 'x', { partition: 1 })).partition).toBe(1);
    expect((await client.publishToSubject('orders', 'x')).partition).toBe(0);
  });

  it.each([
    ['orders', 'orders', 0],
    ['orders', 'orders.12', 12],
    ['orders', 'orders.x', -1],
    ['sensors.*', 'sensors.1', -1],
    ['sensors.*', 'sensors.*', -1],
    ['', '', -1],
  ])('is derived from the subjects %s and %s of an envelope: %i', (partitionSubject, messageSubject, partition) => {
    expect(decodeAck(encodeAck({ partitionSubject, messageSubject })).partition).toBe(partition);
  });
});

describe('publishBatch', () => {
  it('keeps the order and returns a result for each message, failures included', async () => {
    const results = await client.publishBatch('orders', ['a', { value: 'b', partition: 7 }, { value: 'c' }]);
    expect(results).toEqual([
      { index: 0, ack: expect.objectContaining({ offset: 0n }), error: null },
      { index: 1, ack: null, error: expect.objectContaining({ code: 'NO_SUCH_PARTITION' }) },
      { index: 2, ack: expect.objectContaining({ offset: 1n }), error: null },
    ]);
    expect(stored()).toEqual(['a', 'c']);
    expect(await client.publishBatch('orders', [])).toEqual([]);
  });

  it('rejects for an invalid argument before it sends anything', async () => {
    const refused = { code: 'INVALID_ARGUMENT' };
    await expect(client.publishBatch('orders', ['a', { value: 1 as never }])).rejects.toMatchObject(refused);
    await expect(client.publishBatch('orders', 'ab' as never)).rejects.toMatchObject(refused);
    await expect(client.publishBatch('orders', ['a'], { ackPolicy: 'none' })).rejects.toThrow('without acks');
    await expect(client.publishBatch('orders', ['a', { value: 'b', ackPolicy: 'none' }])).rejects.toThrow(
      'without acks',
    );
    expect(stored()).toEqual([]);
  });

  it('rejects with the reason of its signal', async () => {
    broker.faults.dropAcks(2);
    const controller = new AbortController();
    const reason = new Error('enough');
    const batch = client.publishBatch('orders', ['a', 'b'], { signal: controller.signal });
    await expect.poll(() => stored().length).toBe(2);
    controller.abort(reason);
    await expect(batch).rejects.toBe(reason);
    await expect(client.publishBatch('orders', ['c'], { signal: controller.signal })).rejects.toBe(reason);
    expect(stored()).toEqual(['a', 'b']);
  });
});

describe("publishAll with onError 'continue'", () => {
  it('returns a result for each message in the order of the source', async () => {
    const source = ['a', { value: 'b', partition: 7 }, { value: 'c', ackPolicy: 'none' as const }, 'd'];
    const results = await all(client.publishAll('orders', source, { onError: 'continue' }));
    expectTypeOf(results).toEqualTypeOf<PublishResult[]>();
    expect(results.map(({ index, ack, error }) => [index, ack?.offset ?? error?.code])).toEqual([
      [0, 0n],
      [1, 'NO_SUCH_PARTITION'],
      [2, 'INVALID_ARGUMENT'],
      [3, 1n],
    ]);
    expect(stored()).toEqual(['a', 'd']);
  });

  it('also ends with the error of its source and the reason of its signal', async () => {
    function* broken() {
      yield 'a';
      throw new Error('torn');
    }
    await expect(all(client.publishAll('orders', broken(), { onError: 'continue' }))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
    });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(all(client.publishAll('orders', ['b'], { onError: 'continue', signal }))).rejects.toBe(signal.reason);
    await expect(all(client.publishAll('orders', ['b'], { onError: 'skip' as never }))).rejects.toThrow('onError');
  });
});

describe('publishAll without a reader', () => {
  it('causes one process warning, at flush or close', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      await all(client.publishAll('orders', ['read']));
      await client.flush();
      expect(warn).not.toHaveBeenCalled();
      client.publishAll('orders', ['never']);
      client.publishAll('orders', ['never']);
      await client.flush();
      await client.close();
      expect(warn.mock.calls).toEqual([
        [expect.stringContaining('publishAll to stream "orders" has published nothing'), 'LiftbridgeWarning'],
      ]);
      expect(stored()).toEqual(['read']);
    } finally {
      warn.mockRestore();
    }
  });
});

describe('publishDefaults', () => {
  it('apply to each publish, with headers merged by name, and options of a call override them', async () => {
    const other = await open({
      publishDefaults: { partitioner: toPartition(1), headers: { source: 'shop', team: 'a' }, ackPolicy: 'all' },
    });
    const ack = await other.publish('orders', 'a', { headers: { team: 'b' } });
    expect(ack).toMatchObject({ partition: 1, ackPolicy: 'all' });
    expect(await other.publish('orders', 'b', { partition: 0, ackPolicy: 'leader', headers: undefined })).toMatchObject(
      {
        ...{ partition: 0, ackPolicy: 'leader' },
      },
    );
    expect(await other.publishToSubject('orders', 'c')).toMatchObject({ partition: 1 });
    expect((await all(other.publishAll('orders', ['d'])))[0]).toMatchObject({ partition: 1 });
    const [first] = broker.messages('orders', 1);
    expect(first).toMatchObject({ headers: { source: Buffer.from('shop'), team: Buffer.from('b') } });
    expect(broker.messages('orders', 0)[0]).toMatchObject({ headers: { team: Buffer.from('a') } });
  });

  it("reject 'none' and unknown options before anything is sent", async () => {
    await expect(open({ publishDefaults: { ackPolicy: 'none' as never } })).rejects.toThrow(
      'publishDefaults.ackPolicy',
    );
    await expect(open({ publishDefaults: { key: 'k' } as never })).rejects.toThrow('publishDefaults.key');
  });
});

describe('createStream with ifNotExists', () => {
  it('resolves with true when it created the stream, else with false', async () => {
    expect(await client.createStream('new', 'new', { partitions: 3, ifNotExists: true })).toBe(true);
    expect(await client.createStream('new', 'new', { partitions: 3, ifNotExists: true })).toBe(false);
    expect(await client.createStream('other', 'other')).toBe(true);
    const calls = Array.from({ length: 5 }, () => client.createStream('race', 'race', { ifNotExists: true }));
    expect((await Promise.all(calls)).filter(Boolean)).toEqual([true]);
  });

  it('rejects with STREAM_EXISTS and both values when the existing stream has other settings', async () => {
    const failure = client.createStream('elsewhere', 'orders', { ifNotExists: true });
    await expect(failure).rejects.toMatchObject({ code: 'STREAM_EXISTS', stream: 'orders' });
    await expect(failure).rejects.toThrow('it has subject "orders" and 2 partitions, not "elsewhere" and 1 partition');
  });
});

describe('activity', () => {
  it('ends with close, and returns its position', async () => {
    const feed = await client.activity({ startAt: 'earliest' });
    const events: string[] = [];
    for await (const event of feed) {
      events.push(event.op);
      expect(feed.position).toBe(event.offset + 1n);
      await feed.close();
    }
    expect(events).toEqual(['create-stream']);
    await using other = await client.activity({ startAt: 'earliest' });
    expect(typeof other.close).toBe('function');
  });
});

describe('startAt with a time', () => {
  it('accepts a number of milliseconds', async () => {
    await client.publish('orders', 'a');
    const before = Date.now();
    for (const startAt of [{ time: 0 }, { time: before - 60_000 }, { time: new Date(before - 60_000) }]) {
      const subscription = await client.subscribe('orders', { startAt, stopAt: 'latest' });
      expect((await all(subscription)).map((message) => message.text())).toEqual(['a']);
    }
    for (const time of [-1, Number.NaN, 1_700_000_000_000_000_000])
      await expect(client.subscribe('orders', { startAt: { time } })).rejects.toThrow('a number of milliseconds');
  });
});
