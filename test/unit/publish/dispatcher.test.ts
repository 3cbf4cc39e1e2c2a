import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { monotonicNow } from '../../../src/async/clock.js';
import { LiftbridgeError } from '../../../src/errors.js';
import { PublishAsyncError_Code } from '../../../src/protocol/generated/api.js';
import type { PublishOptions } from '../../../src/publish/publish-options.js';
import { Publisher } from '../../../src/publish/publisher.js';
import { FakeCluster } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let publisher: Publisher;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  const maxInFlight = { messages: 100, bytes: 1_000_000 };
  publisher = new Publisher(cluster.asCluster, { maxMessageBytes: 1_000, ackTimeout: 5_000, maxInFlight } as never);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const pass = (ms = 1) => vi.advanceTimersByTimeAsync(ms);

function publish(value: string, options: PublishOptions = {}) {
  const outcome = { ended: null as unknown };
  publisher.publish('orders', value, options).then(
    (ack) => {
      outcome.ended = ack?.offset ?? null;
    },
    (error: unknown) => {
      outcome.ended = LiftbridgeError.is(error) ? error.code : error;
    },
  );
  return outcome;
}

/** The values that a broker received on its newest stream. */
const sent = (id = 'a'): string[] =>
  cluster.sessions.has(id) ? cluster.stream(id).requests.map(({ value }) => String(value)) : [];

function acknowledge(id: string, index: number, offset: bigint): void {
  const { correlationId } = cluster.stream(id).requests[index]!;
  cluster.stream(id).respond({ ack: { stream: 'orders', correlationId, offset } as never, correlationId });
}

function refuse(id: string, index: number, code: PublishAsyncError_Code, message: string): void {
  const { correlationId } = cluster.stream(id).requests[index]!;
  cluster.stream(id).respond({ asyncError: { code, message }, correlationId });
}

/** Publishes one message that is acknowledged: the stream is open from then on. */
async function warm(): Promise<void> {
  publish('warm');
  await pass(60);
  acknowledge('a', 0, 0n);
  await pass();
}

describe('a broker that does not know the stream', () => {
  it('makes the client check that it exists, and the publishes fail when it is gone', async () => {
    await warm();
    const existence = vi.spyOn(cluster, 'existence');
    cluster.existing = 'gone';
    const one = publish('one');
    await pass();
    refuse('a', 1, PublishAsyncError_Code.NOT_FOUND, 'no such stream: orders');
    await pass(50);
    expect(existence).toHaveBeenCalled();
    expect(one.ended).toBe('NO_SUCH_STREAM');
  });

  it('gets the publish again when the stream exists', async () => {
    await warm();
    const one = publish('one');
    await pass();
    refuse('a', 1, PublishAsyncError_Code.NOT_FOUND, 'no such stream: orders');
    await pass(1_000);
    expect(one.ended).toBeNull();
    expect(sent()).toEqual(['warm', 'one', 'one']);
    acknowledge('a', 2, 1n);
    await pass();
    expect(one.ended).toBe(1n);
  });

  it('makes no such check for any other refusal', async () => {
    await warm();
    const existence = vi.spyOn(cluster, 'existence');
    publish('one');
    await pass();
    refuse('a', 1, PublishAsyncError_Code.INTERNAL, 'nats: connection closed');
    await pass(1_000);
    expect(existence).not.toHaveBeenCalled();
    expect(sent()).toEqual(['warm', 'one', 'one']);
  });
});

describe('a stream that is missing in the metadata', () => {
  beforeEach(() => {
    cluster.partitions = 0;
    cluster.existing = 'gone';
  });

  it('is looked up for each publish, which is sent to a broker all the same', async () => {
    const one = publish('one', { partition: 0 });
    await pass(100);
    expect(sent()).toEqual(['one']);
    acknowledge('a', 0, 0n);
    await pass();
    const two = publish('two', { partition: 0 });
    await pass(100);
    expect(sent()).toEqual(['one', 'two']);
    acknowledge('a', 1, 1n);
    await pass();
    expect([one.ended, two.ended]).toEqual([0n, 1n]);
  });

  it('is looked up again after all of its publishes have failed', async () => {
    const partitioner = (): number => 0;
    const one = publish('one', { partitioner });
    await pass(100);
    expect(one.ended).toBe('NO_SUCH_STREAM');
    const two = publish('two', { partitioner });
    await pass(100);
    expect(two.ended).toBe('NO_SUCH_STREAM');
  });

  it('keeps its order when its leader moves while a publish is in flight', async () => {
    const one = publish('one', { partition: 0 });
    await pass(100);
    cluster.leaderId = 'b';
    cluster.version++;
    publish('two', { partition: 0 });
    await pass(100);
    expect(sent('b')).toEqual([]); // there it could be stored before 'one'
    acknowledge('a', 0, 0n);
    await pass(100);
    expect(one.ended).toBe(0n);
    expect([...sent('a'), ...sent('b')]).toEqual(['one', 'two']);
  });

  it('fails its waiting publishes with CLOSED when the publisher closes first', async () => {
    cluster.existing = 'unsure';
    const one = publish('one', { partition: 0 });
    await pass(100);
    void publisher.close(performance.now() - 1);
    await pass(100);
    expect(one.ended).toBe('CLOSED');
    expect(cluster.sessions.size).toBe(0);
  });
});

describe('publishes that wait for the lookup of their stream', () => {
  it('are sent in the order of the calls, and later ones do not overtake them', async () => {
    cluster.partitions = 0;
    cluster.existing = 'unsure';
    publish('one');
    publish('two');
    await pass(10);
    cluster.partitions = 1;
    cluster.version++;
    publish('three');
    await pass(200);
    expect(sent()).toEqual(['one', 'two', 'three']);
  });
});

describe('a publish with a final refusal', () => {
  it('ends the trouble: the waiting publishes are sent without a further pause', async () => {
    await warm();
    cluster.stream('a').end();
    await pass();
    for (const value of ['one', 'two', 'three']) publish(value);
    for (let ms = 0; ms < 1_000 && sent()[0] !== 'one'; ms++) await pass();
    await pass();
    expect(sent()).toEqual(['one']);
    refuse('a', 0, PublishAsyncError_Code.PERMISSION_DENIED, 'no');
    await pass();
    expect(sent()).toEqual(['one', 'two', 'three']);
  });
});

describe('a publish stream that ends', () => {
  it('starts a search for the leader at once when publishes were in flight', async () => {
    await warm();
    publish('one');
    await pass();
    cluster.refreshed.length = 0;
    cluster.stream('a').end();
    await pass();
    expect(cluster.refreshed).toEqual(['orders']);
  });
});

describe('a publish without any response during its timeout', () => {
  it('opens the stream again when a response began a second ago and is not complete', async () => {
    await warm();
    const stuck = cluster.stream('a');
    stuck.midMessageSince = monotonicNow();
    const one = publish('one', { timeout: 1_000 });
    await pass(1_000);
    expect(one.ended).toBe('ACK_TIMEOUT');
    expect(stuck.cancelled).toBe(true);
    const two = publish('two');
    await pass(500);
    expect(cluster.stream('a')).not.toBe(stuck);
    expect(sent()).toEqual(['two']);
    acknowledge('a', 0, 2n);
    await pass();
    expect(two.ended).toBe(2n);
  });

  it('keeps the stream while a response has only just begun, until publishes get no response for a second', async () => {
    await warm();
    const stuck = cluster.stream('a');
    const one = publish('one', { timeout: 500 });
    await pass(400);
    stuck.midMessageSince = monotonicNow();
    await pass(100);
    expect(one.ended).toBe('ACK_TIMEOUT');
    expect(stuck.cancelled).toBe(false);
    const two = publish('two', { timeout: 60_000 });
    await pass(2_000);
    expect(stuck.cancelled).toBe(true);
    expect(two.ended).toBe('CONNECTION');
  });

  it('keeps the stream when no response has begun', async () => {
    await warm();
    const slow = cluster.stream('a');
    const one = publish('one', { timeout: 500 });
    await pass(500);
    expect(one.ended).toBe('ACK_TIMEOUT');
    expect(slow.cancelled).toBe(false);
  });
});

describe('the size of a message', () => {
  it('includes key and headers, and is checked before anything is sent', async () => {
    const outcomes = [
      publish('x', { headers: { large: 'h'.repeat(1_001) } }),
      publish('x', { headers: { [`n${'x'.repeat(1_000)}`]: '' } }),
      publish('x', { key: 'k'.repeat(1_001) }),
      publish('x', { key: 'k'.repeat(500), headers: { large: 'h'.repeat(500) } }),
    ];
    await pass(100);
    expect(outcomes.map(({ ended }) => ended)).toEqual(new Array(4).fill('MESSAGE_TOO_LARGE'));
    expect(cluster.sessions.size).toBe(0);
    publish('x', { key: 'k'.repeat(400), headers: { large: 'h'.repeat(400) } });
    await pass(100);
    expect(sent()).toEqual(['x']);
  });
});
