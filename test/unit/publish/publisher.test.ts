import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LiftbridgeError } from '../../../src/errors.js';
import { Ack_Error, PublishAsyncError_Code, type PublishRequest } from '../../../src/protocol/generated/api.js';
import type { PublishOptions } from '../../../src/publish/publish-options.js';
import { Publisher } from '../../../src/publish/publisher.js';
import { deferred } from '../../support/deferred.js';
import { FakeCluster, type FakeStream } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let publisher: Publisher;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  start();
});
afterEach(async () => {
  vi.useRealTimers();
});

function start(maxInFlight = { messages: 100, bytes: 1_000_000 }): void {
  publisher = new Publisher(cluster.asCluster, { maxMessageBytes: 1_000, ackTimeout: 5_000, maxInFlight } as never);
}

const pass = (ms = 1) => vi.advanceTimersByTimeAsync(ms);
const stream = (): FakeStream => cluster.stream('a');
const requests = (): readonly PublishRequest[] => stream().requests;

/** Publishes. `ended` has the outcome once the publish has settled. */
function publish(value: string, options: PublishOptions = {}) {
  const outcome = { ended: null as unknown };
  publisher.publish('orders', value, options).then(
    (ack) => {
      outcome.ended = ack === null ? 'null' : ack.offset;
    },
    (error: unknown) => {
      outcome.ended = (error as LiftbridgeError).code ?? error;
    },
  );
  return outcome;
}

/** Publishes one that is acknowledged: the stream is open from then on. */
async function warm(): Promise<void> {
  const first = publish('warm');
  await pass(60);
  acknowledge(0, 0n);
  await pass();
  expect(first.ended).toBe(0n);
}

function acknowledge(index: number, offset: bigint, more: { stream?: string; ackError?: Ack_Error } = {}): void {
  const { correlationId } = requests()[index]!;
  stream().respond({ ack: { stream: 'orders', correlationId, offset, ...more } as never, correlationId });
}

function refuse(index: number, code: PublishAsyncError_Code, message: string): void {
  stream().respond({ asyncError: { code, message }, correlationId: requests()[index]!.correlationId });
}

describe('a publisher', () => {
  it('resolves each publish with its ack, in any order of the acks', async () => {
    await warm();
    const [one, two] = [publish('one', { key: 'k', headers: { h: 'v' } }), publish('two')];
    await pass();
    expect(requests()[1]).toMatchObject({ stream: 'orders', partition: 0, key: Buffer.from('k'), ackPolicy: 0 });
    expect(String(requests()[1]!.value)).toBe('one');
    acknowledge(2, 2n);
    await pass();
    expect([one.ended, two.ended]).toEqual([null, 2n]);
    acknowledge(1, 1n);
    await pass();
    expect(one.ended).toBe(1n);
  });

  it('refreshes the metadata when offsets begin again, and only then', async () => {
    await warm();
    publish('one');
    publish('two');
    await pass();
    cluster.refreshed.length = 0;
    acknowledge(1, 1n);
    acknowledge(2, 2n);
    await pass();
    expect(cluster.refreshed).toEqual([]);
    publish('three');
    await pass();
    acknowledge(3, 0n);
    await pass();
    expect(cluster.refreshed).toEqual(['orders']);
    // The offsets of the new stream are compared from here on.
    publish('four');
    await pass();
    acknowledge(4, 1n);
    await pass();
    expect(cluster.refreshed).toEqual(['orders']);
  });

  it('refreshes the metadata once for all publishes that fail at the same time', async () => {
    await warm();
    cluster.refreshed.length = 0;
    const refreshing = deferred<void>();
    cluster.refreshing = refreshing.promise;
    const both = [publish('one', { timeout: 100 }), publish('two', { timeout: 100 })];
    await pass(100);
    expect(both.map(({ ended }) => ended)).toEqual(['ACK_TIMEOUT', 'ACK_TIMEOUT']);
    expect(cluster.refreshed).toEqual(['orders']);
    refreshing.resolve();
    await pass();
    publish('three', { timeout: 100 });
    await pass(100);
    expect(cluster.refreshed.length).toBeGreaterThan(1);
  });

  it('continues when the metadata cannot be refreshed', async () => {
    await warm();
    cluster.refreshing = Promise.reject(new Error('no broker'));
    cluster.refreshing.catch(() => undefined);
    publish('one', { timeout: 100 });
    await pass(100);
    const two = publish('two');
    await pass(200);
    acknowledge(requests().length - 1, 5n);
    await pass();
    expect(two.ended).toBe(5n);
  });

  it('ignores an ack of another stream on the subject, and names that stream when its own ack does not come', async () => {
    await warm();
    const failed = publisher.publish('orders', 'one', { timeout: 100 }).catch((error: unknown) => error);
    await pass();
    for (let i = 0; i < 2; i++) acknowledge(1, 7n, { stream: 'other' });
    await pass(100);
    expect(await failed).toMatchObject({ code: 'ACK_TIMEOUT', otherAcks: [{ stream: 'other', offset: 7n }] });
  });

  it('ignores an ack for a publish that has settled', async () => {
    await warm();
    const one = publish('one', { timeout: 100 });
    await pass(101);
    acknowledge(1, 1n);
    acknowledge(1, 2n);
    await pass();
    expect(one.ended).toBe('ACK_TIMEOUT');
  });

  it('rejects a message that is too large, aborted, or published after close, and sends nothing', async () => {
    await warm();
    const large = publish('x'.repeat(1_001));
    const just = publish('x'.repeat(900));
    const aborted = publish('x', { signal: AbortSignal.abort('enough') });
    await pass();
    expect([large.ended, just.ended, aborted.ended]).toEqual(['MESSAGE_TOO_LARGE', null, 'enough']);
    expect(requests()).toHaveLength(2);
    acknowledge(1, 1n);
    await pass();
    const closing = publisher.close(performance.now() + 1_000);
    const closed = publish('x');
    await pass();
    expect(closed.ended).toBe('CLOSED');
    stream().end();
    await pass(1_000);
    await closing;
  });

  it('rejects a publish in flight with the reason of its signal, and frees its place', async () => {
    start({ messages: 1, bytes: 1_000_000 });
    await warm();
    const stop = new AbortController();
    const one = publish('one', { signal: stop.signal });
    const two = publish('two');
    await pass();
    expect(requests()).toHaveLength(2);
    stop.abort('enough');
    await pass();
    expect(one.ended).toBe('enough');
    expect(requests()).toHaveLength(3);
    acknowledge(2, 2n);
    await pass();
    expect(two.ended).toBe(2n);
  });

  it('looks up many streams at the same time without a warning', async () => {
    const warned: string[] = [];
    const warn = ({ name }: Error) => warned.push(name);
    process.on('warning', warn);
    cluster.partitions = 0;
    for (let n = 0; n < 40; n++) publisher.publish(`stream-${n}`, 'x', { timeout: 500 }).catch(() => undefined);
    await pass(1_000);
    process.off('warning', warn);
    expect(warned).toEqual([]);
  });

  it('reports a callback that throws, and calls it once', async () => {
    await warm();
    const onAck = vi.fn(() => {
      throw new Error('in the callback');
    });
    publisher.publishAsync('orders', 'x', onAck);
    await pass();
    acknowledge(1, 1n);
    acknowledge(1, 1n);
    await pass();
    expect(onAck).toHaveBeenCalledTimes(1);
    expect(cluster.errors).toMatchObject([{ code: 'HANDLER_FAILED', operation: 'publishAsync', stream: 'orders' }]);
    expect(() => publisher.publishAsync('orders', 'x', undefined as never)).toThrow(/onAck/);
  });
});

describe('a refusal', () => {
  it('that is final rejects the publish', async () => {
    await warm();
    const one = publish('one');
    await pass();
    cluster.refreshed.length = 0;
    refuse(1, PublishAsyncError_Code.PERMISSION_DENIED, 'no');
    await pass();
    expect(one.ended).toBe('PERMISSION_DENIED');
    expect(cluster.refreshed).toEqual([]);
  });

  it('of an unknown partition rejects the publish and refreshes the metadata', async () => {
    await warm();
    const one = publish('one', { partition: 7 });
    await pass();
    cluster.refreshed.length = 0;
    refuse(1, PublishAsyncError_Code.NOT_FOUND, 'no such partition: 7');
    await pass();
    expect(one.ended).toBe('NO_SUCH_PARTITION');
    expect(cluster.refreshed).toEqual(['orders']);
  });

  it('of an expected offset rejects the publish, and after a second attempt says that the first may have stored it', async () => {
    await warm();
    const one = publish('one', { expectedOffset: 5 });
    await pass();
    acknowledge(1, 0n, { ackError: Ack_Error.INCORRECT_OFFSET });
    await pass();
    expect(one.ended).toBe('INCORRECT_OFFSET');
    const two = publisher.publish('orders', 'two', { expectedOffset: 1 }).catch((error: unknown) => error);
    await pass();
    // By now the stream is known to check offsets: the publish is sent again when the connection breaks.
    stream().end();
    await pass(200);
    expect(requests()).toHaveLength(1);
    acknowledge(0, 0n, { ackError: Ack_Error.INCORRECT_OFFSET });
    await pass();
    expect(await two).toMatchObject({
      code: 'INCORRECT_OFFSET',
      message: expect.stringContaining('may be the same message'),
    });
  });

  it('of a publish without acks is reported, and refreshes the metadata when the stream is unknown', async () => {
    await warm();
    const none = publish('none', { ackPolicy: 'none' });
    await pass();
    expect(none.ended).toBe('null');
    cluster.refreshed.length = 0;
    refuse(1, PublishAsyncError_Code.PERMISSION_DENIED, 'no');
    expect(cluster.refreshed).toEqual([]);
    refuse(1, PublishAsyncError_Code.NOT_FOUND, 'no such stream: orders');
    await pass();
    expect(cluster.refreshed).toEqual(['orders']);
    expect(cluster.errors).toMatchObject([{ code: 'PERMISSION_DENIED' }, { code: 'NO_SUCH_STREAM', stream: 'orders' }]);
  });
});

describe('flush', () => {
  it('waits for the publishes before it, and for no others', async () => {
    await warm();
    publish('one');
    await pass();
    let flushed = false;
    void publisher.flush().then(() => {
      flushed = true;
    });
    publish('two');
    await pass();
    expect(flushed).toBe(false);
    acknowledge(1, 1n);
    await pass();
    expect(flushed).toBe(true);
    await Promise.race([publisher.flush(), pass(100)]);
  });

  it('waits for the publishes of an earlier flush too', async () => {
    await warm();
    publish('one');
    await pass();
    const flushed: number[] = [];
    for (const count of [1, 2]) void publisher.flush().then(() => flushed.push(count));
    await pass(100);
    expect(flushed).toEqual([]);
    acknowledge(1, 1n);
    await pass();
    expect(flushed).toEqual([1, 2]);
  });
});

describe('close', () => {
  it('waits until the deadline for the publishes in flight, and fails the rest', async () => {
    await warm();
    const [one, two] = [publish('one'), publish('two')];
    await pass();
    let closed = false;
    void publisher.close(performance.now() + 1_000).then(() => {
      closed = true;
    });
    acknowledge(1, 1n);
    await pass(998);
    expect([one.ended, two.ended, closed]).toEqual([1n, null, false]);
    await pass(10);
    expect([two.ended, stream().halfClosed]).toEqual(['CLOSED', true]);
    stream().end();
    await pass();
    expect(closed).toBe(true);
    await publisher.close(performance.now());
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not wait for the deadline when nothing is in flight', async () => {
    await warm();
    let closed = false;
    void publisher.close(performance.now() + 60_000).then(() => {
      closed = true;
    });
    await pass();
    expect(stream().halfClosed).toBe(true);
    stream().end();
    await pass();
    expect(closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});
