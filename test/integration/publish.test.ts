import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  type Ack,
  type AckTimeoutError,
  type Client,
  type ClientOptions,
  connect,
  LiftbridgeError,
  partitionByKey,
} from '../../src/index.js';
import { deferred } from '../support/deferred.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';

// Long timeout: a test that reaches it hangs.
const HOUR = 3_600_000;

let broker: TestBroker;
let client: Client;

async function start(brokers: number, options: ClientOptions = {}, settings: Record<string, unknown> = {}) {
  broker = await TestBroker.start({ brokers, settings });
  client = await connect(broker.addresses, { ...PATIENT, ...options });
}

afterEach(async () => {
  await client.close({ timeout: 100 });
  await broker.close();
});

const values = (stream: string, partition = 0) =>
  broker.messages(stream, partition).map(({ value }) => Buffer.from(value ?? []).toString());
const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));
const codeOf = (error: unknown) => (LiftbridgeError.is(error) ? error.code : error);

describe('publish', () => {
  beforeEach(async () => {
    await start(1);
    await client.createStream('orders', 'orders', { partitions: 3 });
  });

  it('resolves with the ack of the stream', async () => {
    const ack = await client.publish('orders', 'hello', { partition: 1, key: 'k', headers: { h: 'v' } });
    expect(ack).toMatchObject({ stream: 'orders', offset: 0n, messageSubject: 'orders.1', error: 'ok' });
    expect(broker.messages('orders', 1)).toMatchObject([{ offset: 0n }]);
  });

  it('keeps the order of the calls for each partition while the stream is looked up', async () => {
    await using other = await connect(broker.addresses, PATIENT);
    await client.createStream('fresh', 'fresh', { partitions: 3 });
    expect(other.metadata.streams.has('fresh')).toBe(false);
    const acks = await Promise.all(
      numbers(3_000).map((n) => other.publish('fresh', n, { partition: Number(n) % 3 }) as Promise<Ack>),
    );
    for (const partition of [0, 1, 2]) {
      expect(values('fresh', partition)).toEqual(numbers(3_000).filter((n) => Number(n) % 3 === partition));
    }
    expect(acks[2_999]?.offset).toBe(999n);
  });

  it('calls the partitioner when the stream is known', async () => {
    const counts: number[] = [];
    const partitioner: typeof partitionByKey = (message, partitions) => {
      counts.push(partitions);
      return partitionByKey(message, partitions);
    };
    const ack = await client.publish('orders', 'x', { key: 'a', partitioner });
    expect(counts).toEqual([3]);
    expect(ack?.messageSubject).toBe(
      ['orders', 'orders.1', 'orders.2'][partitionByKey({ stream: '', key: Buffer.from('a'), value: null }, 3)],
    );
  });

  it('rejects with NO_SUCH_STREAM for an unknown stream, without affecting other publishes', async () => {
    const missing = client.publish('nothing', 'x');
    await expect(client.publish('orders', 'y')).resolves.toMatchObject({ offset: 0n });
    await expect(missing).rejects.toMatchObject({ code: 'NO_SUCH_STREAM', stream: 'nothing' });
  });

  it('rejects with NO_SUCH_STREAM for a stream that was just deleted, and with NO_SUCH_PARTITION for a missing partition', async () => {
    await client.publish('orders', 'x');
    await using other = await connect(broker.addresses, PATIENT);
    await other.deleteStream('orders');
    await expect(client.publish('orders', 'y')).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
    await other.createStream('orders', 'orders', { partitions: 2 });
    await expect(client.publish('orders', 'z', { partition: 2 })).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });

  it('rejects with READONLY_PARTITION, and resumes a paused partition', async () => {
    await client.setStreamReadonly('orders', { partitions: [0] });
    await client.pauseStream('orders', { partitions: [1] });
    await expect(client.publish('orders', 'x')).rejects.toMatchObject({ code: 'READONLY_PARTITION', partition: 0 });
    await expect(client.publish('orders', 'x', { partition: 1 })).resolves.toMatchObject({ offset: 0n });
  });

  it('fails only the message that is too large, whether client or server detects it', async () => {
    const size = (bytes: number) => Buffer.alloc(bytes, 'x');
    const results = await Promise.allSettled([
      client.publish('orders', 'before'),
      client.publish('orders', size(5 * 1024 * 1024)),
      client.publish('orders', size(2 * 1024 * 1024)),
      client.publish('orders', 'after'),
    ]);
    expect(results.map((result) => (result.status === 'fulfilled' ? 'ok' : codeOf(result.reason)))).toEqual([
      'ok',
      'MESSAGE_TOO_LARGE',
      'MESSAGE_TOO_LARGE',
      'ok',
    ]);
    expect(values('orders')).toEqual(['before', 'after']);
  });

  it('rejects with INCORRECT_OFFSET on a stream that checks offsets', async () => {
    await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });
    await expect(client.publish('ledger', 'a', { expectedOffset: 0 })).resolves.toMatchObject({ offset: 0n });
    await expect(client.publish('ledger', 'b', { expectedOffset: 0 })).rejects.toMatchObject({
      code: 'INCORRECT_OFFSET',
      stream: 'ledger',
    });
  });

  it('resolves with the ack of its own stream when several streams share the subject', async () => {
    await client.createStream('shared', 'one');
    await client.createStream('shared', 'two');
    await client.publish('two', 'ahead');
    await client.createStream('shared', 'three');
    const acks = await Promise.all(['one', 'two', 'three'].map((stream) => client.publish(stream, stream)));
    expect(acks.map((ack) => ack?.stream)).toEqual(['one', 'two', 'three']);
    expect(values('three')).toHaveLength(3);
  });

  it('names the streams that acknowledged it when its own stream did not', async () => {
    await client.createStream('jobs', 'worker-a', { group: 'workers' });
    await client.createStream('jobs', 'worker-b', { group: 'workers' });
    const outcomes = await Promise.allSettled(
      numbers(20).map((n) => client.publish('worker-a', n, { timeout: 2_000 })),
    );
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
    expect(failures.length).toBe(values('worker-b').length);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures as AckTimeoutError[]) {
      expect(failure.code).toBe('ACK_TIMEOUT');
      expect(failure.otherAcks).toMatchObject([{ stream: 'worker-b' }]);
    }
  });

  it('rejects with ACK_TIMEOUT when the ack is lost, and ignores a late ack', async () => {
    broker.faults.dropAcks(1);
    await expect(client.publish('orders', 'lost', { timeout: 100 })).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
    broker.faults.delayAcks(200);
    await expect(client.publish('orders', 'late', { timeout: 50 })).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
    await broker.clock.advance(300);
    broker.faults.delayAcks(0);
    const ack = await client.publish('orders', 'next');
    expect(values('orders')[Number(ack?.offset)]).toBe('next');
  });

  it('rejects with the reason of the signal, and all publishes with the same signal share one listener', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    await client.publish('orders', 'warm');
    broker.faults.dropAcks(50);
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const waiting = numbers(50).map((n) => client.publish('orders', n, { signal: controller.signal }));
    const outcomes = Promise.allSettled(waiting);
    controller.abort(reason);
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason });
    await expect(client.publish('orders', 'x', { signal: controller.signal })).rejects.toBe(reason);
    expect(warnings).toEqual([]);
  });

  it('rejects a correlation id that is in flight, and accepts it again afterwards', async () => {
    broker.faults.delayAcks(HOUR);
    const first = client.publish('orders', 'a', { correlationId: 'id' });
    await expect(client.publish('orders', 'b', { correlationId: 'id' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect.poll(() => values('orders')).toEqual(['a']);
    await broker.clock.advance(HOUR);
    expect((await first)?.correlationId).toBe('id');
    broker.faults.delayAcks(0);
    await expect(client.publish('orders', 'c', { correlationId: 'id' })).resolves.toMatchObject({ offset: 1n });
  });

  it.each([
    ['stream', () => client.publish('', 'x')],
    ['value', () => client.publish('orders', 5 as never)],
    ['partition', () => client.publish('orders', 'x', { partition: -1 })],
    ['ackPolicy', () => client.publish('orders', 'x', { ackPolicy: 'some' as never })],
    ['unknown option colour', () => client.publish('orders', 'x', { colour: 1 } as never)],
  ])('rejects with INVALID_ARGUMENT for an invalid %s before it sends anything', async (what, call) => {
    await expect(call()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(what) });
    expect(values('orders')).toEqual([]);
  });
});

describe("publish with ackPolicy 'none'", () => {
  beforeEach(async () => {
    await start(1);
    await client.createStream('orders', 'orders');
  });

  it('resolves with null after it is written, in order', async () => {
    const answers = await Promise.all(numbers(2_000).map((n) => client.publish('orders', n, { ackPolicy: 'none' })));
    expect(new Set(answers)).toEqual(new Set([null]));
    await client.publish('orders', 'last');
    expect(values('orders')).toEqual([...numbers(2_000), 'last']);
  });

  it("reports a publish that the server refuses as 'asyncError' and to the logger, with the stream", async () => {
    const logged: unknown[] = [];
    const ignore = (): void => undefined;
    const logger = { debug: ignore, info: ignore, warn: ignore, error: (context: object) => logged.push(context) };
    await using other = await connect(broker.addresses, { ...PATIENT, logger });
    await client.setStreamReadonly('orders');
    const reported = deferred<unknown>();
    other.on('asyncError', reported.resolve);
    await expect(other.publish('orders', 'x', { ackPolicy: 'none' })).resolves.toBeNull();
    const error = await reported.promise;
    expect(error).toMatchObject({ code: 'READONLY_PARTITION', stream: 'orders' });
    expect(logged).toEqual([{ err: error }]);
  });

  it('rejects when the connection breaks before it accepts the message', async () => {
    await client.publish('orders', 'warm', { ackPolicy: 'none' });
    const end = broker.faults.silence();
    const large = Buffer.alloc(900 * 1024, 'x');
    const outcomes = Promise.allSettled(
      numbers(60).map(() => client.publish('orders', large, { ackPolicy: 'none', timeout: HOUR })),
    );
    await turns();
    broker.faults.cutConnections();
    end();
    const failed = (await outcomes).filter((outcome) => outcome.status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) expect(reason).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
  });
});

describe('publishAsync', () => {
  beforeEach(async () => {
    await start(1);
    await client.createStream('orders', 'orders');
  });

  it('calls back once, with the ack or the error', async () => {
    const calls: [string, unknown, Ack | null][] = [];
    const done = deferred<void>();
    const onAck = (value: string) => (error: LiftbridgeError | null, ack: Ack | null) => {
      calls.push([value, error === null ? null : error.code, ack]);
      if (calls.length === 2) done.resolve();
    };
    client.publishAsync('orders', 'x', onAck('x'));
    client.publishAsync('orders', 'y', onAck('y'), { partition: 9 });
    await done.promise;
    expect(calls.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([
      ['x', null, expect.objectContaining({ offset: 0n })],
      ['y', 'NO_SUCH_PARTITION', null],
    ]);
  });

  it('throws for an invalid argument', () => {
    const never = () => expect.unreachable();
    expect(() => client.publishAsync('orders', 5 as never, never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it("reports the error of a callback as 'asyncError' and continues", async () => {
    const cause = new Error('oops');
    const reported = deferred<unknown>();
    client.on('asyncError', reported.resolve);
    client.publishAsync('orders', 'x', () => {
      throw cause;
    });
    expect(await reported.promise).toMatchObject({ code: 'HANDLER_FAILED', cause, stream: 'orders' });
    await expect(client.publish('orders', 'y')).resolves.toMatchObject({ offset: 1n });
  });

  it('can be called in its own callback without losing the order', async () => {
    const done = deferred<void>();
    client.publishAsync('orders', 'a', () => client.publishAsync('orders', 'c', () => done.resolve()));
    client.publishAsync('orders', 'b', () => undefined);
    await done.promise;
    expect(values('orders')).toEqual(['a', 'b', 'c']);
  });
});

describe('maxInFlight', () => {
  it('limits the unacknowledged messages; the rest waits in order', async () => {
    await start(1, { maxInFlight: { messages: 10 } });
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'warm');
    broker.faults.delayAcks(HOUR);
    const all = numbers(35).map((n) => client.publish('orders', n) as Promise<Ack>);
    await expect.poll(() => values('orders').length).toBe(11);
    await turns();
    expect(values('orders').length).toBe(11);
    broker.faults.delayAcks(0);
    await broker.clock.advance(HOUR);
    expect((await Promise.all(all)).map(({ offset }) => Number(offset))).toEqual(numbers(35).map((n) => Number(n) + 1));
  });

  it('also limits bytes', async () => {
    await start(1, { maxInFlight: { bytes: 10_000 } });
    await client.createStream('orders', 'orders');
    broker.faults.delayAcks(HOUR);
    const all = Promise.all(numbers(8).map(() => client.publish('orders', Buffer.alloc(3_000, 'x'))));
    await expect.poll(() => values('orders').length).toBe(3);
    broker.faults.delayAcks(0);
    await broker.clock.advance(HOUR);
    await all;
    expect(values('orders').length).toBe(8);
  });
});

describe('flush and close', () => {
  beforeEach(async () => {
    await start(1);
    await client.createStream('orders', 'orders');
  });

  it('flush waits for all previous publishes and no later ones', async () => {
    const settled: string[] = [];
    for (const n of numbers(100)) void client.publish('orders', n).then(() => settled.push(n));
    await client.flush();
    expect(settled).toEqual(numbers(100));
    broker.faults.dropAcks(1);
    const lost = client.publish('orders', 'lost', { timeout: 300 });
    lost.catch(() => undefined);
    await client.flush();
    await expect(lost).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
  });

  it('close waits for the acks of publishes in flight, and rejects later publishes', async () => {
    const all = Promise.all(numbers(500).map((n) => client.publish('orders', n)));
    await client.close();
    expect(await all).toHaveLength(500);
    await expect(client.publish('orders', 'x')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(values('orders')).toEqual(numbers(500));
  });

  it('close ends at its timeout and settles all publishes, without sending waiting ones', async () => {
    await client.close();
    client = await connect(broker.addresses, { ...PATIENT, maxInFlight: { messages: 5 } });
    await client.publish('orders', 'warm');
    broker.faults.dropAcks(1_000);
    const all = Promise.allSettled(numbers(20).map((n) => client.publish('orders', n, { timeout: HOUR })));
    await expect.poll(() => values('orders').length).toBe(6);
    await client.close({ timeout: 100 });
    const reasons = (await all).map((outcome) => (outcome as PromiseRejectedResult).reason as LiftbridgeError);
    expect(new Set(reasons.map(({ code }) => code))).toEqual(new Set(['CLOSED']));
    expect(reasons.filter(({ message }) => message.includes('nothing was stored'))).toHaveLength(15);
    expect(values('orders')).toEqual(['warm', ...numbers(5)]);
  });
});
