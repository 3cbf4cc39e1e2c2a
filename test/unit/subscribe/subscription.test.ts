import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Message } from '../../../src/protocol/received-message.js';
import type { SubscribeOptions } from '../../../src/subscribe/positions.js';
import { openSubscription, type Subscription, type SubscriptionContext } from '../../../src/subscribe/subscription.js';
import { type Call, FakeCluster, LOST, refusal } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/backoff.js', () => import('../../support/steady-backoff.js'));

let cluster: FakeCluster;
let ended: number;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  ended = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const offsetOf = ({ offset }: Message): bigint => offset;
/** The newest call that reads a partition. */
const call = (partition = 0): Call => cluster.calls.findLast((one) => one.partition === partition)!;

async function subscribed(options: SubscribeOptions = {}): Promise<Subscription> {
  const context = { cluster, requestTimeout: 1_000, resubscribeTimeout: 1_000, ended: () => ended++ };
  const opening = openSubscription(context as unknown as SubscriptionContext, 'orders', {
    startAt: 'earliest',
    ...options,
  });
  opening.catch(() => undefined); // the caller is told
  await pass();
  return await opening;
}

/** Reads until the end: offsets, with the partition where there are several, and the error at the end. */
function read(subscription: Subscription): string[] {
  const log: string[] = [];
  void (async () => {
    try {
      for await (const { partition, offset } of subscription)
        log.push(subscription.partition === 'all' ? `${partition}/${offset}` : String(offset));
      log.push('end');
    } catch (error) {
      log.push((error as { code?: string }).code ?? String(error));
    }
  })();
  return log;
}

describe('the position of a subscription', () => {
  it('is behind the last message that the loop was given', async () => {
    const subscription = await subscribed();
    const loop = subscription[Symbol.asyncIterator]();
    expect(subscription.position).toBe(0n);
    call().deliver(0, 1, 2);
    await loop.next();
    expect([subscription.position, [...subscription.positions]]).toEqual([1n, [[0, 1n]]]);
    await loop.next();
    expect(subscription.position).toBe(2n);
  });

  it('is below it in reverse', async () => {
    const subscription = await subscribed({ reverse: true, startAt: { offset: 9 } });
    const loop = subscription[Symbol.asyncIterator]();
    call().deliver(9, 8);
    await loop.next();
    expect(subscription.position).toBe(8n);
  });

  it('is one a partition where all are read', async () => {
    cluster.partitions = 2;
    const subscription = await subscribed({ partition: 'all' });
    const log = read(subscription);
    call(0).deliver(0, 1, 2);
    call(1).deliver(0);
    await pass();
    expect(log).toEqual(['0/0', '0/1', '0/2', '1/0']);
    expect(subscription.position).toBe(-1n);
    expect([...subscription.positions]).toEqual([
      [0, 3n],
      [1, 1n],
    ]);
  });
});

describe('the position of a subscription before its first message', () => {
  it('is unknown while only the broker can tell', async () => {
    cluster.ends = undefined;
    const subscription = await subscribed({ startAt: 'new' });
    expect([subscription.position, [...subscription.positions]]).toEqual([-1n, [[0, -1n]]]);
  });

  it('is the start of each partition', async () => {
    cluster.partitions = 2;
    const subscription = await subscribed({ partition: 'all', startAt: { offset: 4 } });
    call(1).deliver(4);
    const loop = subscription[Symbol.asyncIterator]();
    await loop.next();
    expect([...subscription.positions]).toEqual([
      [0, 4n],
      [1, 5n],
    ]);
  });
});

describe('the loop of a subscription', () => {
  it('is one', async () => {
    const subscription = await subscribed();
    subscription[Symbol.asyncIterator]();
    expect(() => subscription[Symbol.asyncIterator]()).toThrow(/for one loop/);
    expect(() => subscription.batches()[Symbol.asyncIterator]()).toThrow(/for one loop/);
  });

  it('gives calls of next that wait their messages in order', async () => {
    const loop = (await subscribed())[Symbol.asyncIterator]();
    const waiting = [loop.next(), loop.next(), loop.next()];
    call().deliver(0);
    await pass();
    waiting.push(loop.next());
    call().deliver(1, 2, 3);
    const given = await Promise.all(waiting);
    expect(given.map(({ value }) => value?.offset)).toEqual([0n, 1n, 2n, 3n]);
    call().deliver(4);
    expect((await loop.next()).value?.offset).toBe(4n);
  });

  it('gives no call of next what came behind the message of an earlier one', async () => {
    const subscription = await subscribed();
    const loop = subscription[Symbol.asyncIterator]();
    const first = loop.next();
    call().deliver(0);
    call().deliver(1);
    const second = loop.next();
    expect([(await first).value?.offset, (await second).value?.offset]).toEqual([0n, 1n]);
    await pass();
    call().deliver(2);
    void loop.next();
    expect(subscription.position).toBe(3n);
  });

  it('gives all that has arrived at a time as batches', async () => {
    const subscription = await subscribed();
    const loop = subscription.batches()[Symbol.asyncIterator]();
    const first = loop.next();
    call().deliver(0, 1);
    expect((await first).value?.map(offsetOf)).toEqual([0n, 1n]);
    call().deliver(2, 3);
    call().deliver(4);
    expect((await loop.next()).value?.map(offsetOf)).toEqual([2n, 3n, 4n]);
    expect(subscription.position).toBe(5n);
    await subscription.close();
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  it('cancels the call when it is left, and throws what it is told to', async () => {
    const loop = (await subscribed())[Symbol.asyncIterator]();
    expect(await loop.return!()).toEqual({ done: true, value: undefined });
    expect(call().cancelled).not.toBeNull();
    expect(ended).toBe(1);
    const other = (await subscribed())[Symbol.asyncIterator]();
    const thrown = new Error('of the loop');
    await expect(other.throw!(thrown)).rejects.toBe(thrown);
    expect(call().cancelled).not.toBeNull();
  });

  it('ends when every partition has ended, with all that came before', async () => {
    cluster.partitions = 2;
    const log = read(await subscribed({ partition: 'all', stopAt: { offset: 1 } }));
    call(0).deliver(0, 1);
    await pass();
    expect(log).toEqual(['0/0', '0/1']);
    expect(ended).toBe(0);
    call(1).deliver(0, 1);
    await pass();
    expect(log.slice(2)).toEqual(['1/0', '1/1', 'end']);
    expect(ended).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(cluster.listeners.size).toBe(0);
  });

  it('throws the error of a partition behind what has arrived, and ends the others', async () => {
    cluster.partitions = 2;
    const log = read(await subscribed({ partition: 'all' }));
    call(0).deliver(0);
    call(0).end(refusal(7, 'denied'));
    await pass();
    expect(log).toEqual(['0/0', 'PERMISSION_DENIED']);
    expect(call(1).cancelled).not.toBeNull();
    expect([ended, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it('throws the reason of its signal, which is not listened to any more then', async () => {
    const stop = new AbortController();
    const log = read(await subscribed({ signal: stop.signal }));
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    stop.abort(new Error('enough'));
    await pass();
    expect(log).toEqual(['Error: enough']);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });

  it.each<[string, (subscription: Subscription) => unknown]>([
    ['closed', (subscription) => subscription.close()],
    ['ended by its broker', () => call().end(refusal(8, 'End of readonly partition'))],
    ['ended by an error', () => call().end(refusal(7, 'denied'))],
  ])('leaves no listener on the signal when it is %s', async (_how, end) => {
    const { signal } = new AbortController();
    const subscription = await subscribed({ signal });
    read(subscription);
    await end(subscription);
    await pass();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('has brokers stop while it does not read, and continue when it does', async () => {
    const subscription = await subscribed();
    const loop = subscription[Symbol.asyncIterator]();
    for (let offset = 0; !call().paused && offset < 100_000; offset += 500)
      call().deliver(...Array.from({ length: 500 }, (_, n) => offset + n));
    expect(call().paused).toBe(true);
    while (call().paused) await loop.next();
    expect(call().paused).toBe(false);
  });
});

describe('a subscription that ends while its loop has messages left', () => {
  /** A loop that was given the first of four messages: two lie in the current chunk, one in the next. */
  async function behind(end: (subscription: Subscription, stop: AbortController) => unknown) {
    const stop = new AbortController();
    const subscription = await subscribed({ signal: stop.signal });
    const loop = subscription[Symbol.asyncIterator]();
    call().deliver(0, 1, 2);
    call().deliver(3);
    expect((await loop.next()).value?.offset).toBe(0n);
    await end(subscription, stop);
    const rest: string[] = [];
    for (;;) {
      const next = await loop.next().catch((error: unknown) => String((error as { code?: string }).code ?? error));
      if (typeof next === 'string') rest.push(next);
      if (typeof next === 'string' || next.done) return rest;
      rest.push(String(next.value.offset));
    }
  }

  it('delivers none of them after an abort or a close', async () => {
    expect(await behind((_subscription, stop) => stop.abort('enough'))).toEqual(['enough']);
    expect(await behind((subscription) => subscription.close())).toEqual([]);
  });

  it('delivers all of them when the broker ends it', async () => {
    const denied = async () => {
      call().end(refusal(7, 'denied'));
      await pass();
    };
    expect(await behind(denied)).toEqual(['1', '2', '3', 'PERMISSION_DENIED']);
    const complete = async () => {
      call().end(refusal(8, 'End of readonly partition'));
      await pass();
    };
    expect(await behind(complete)).toEqual(['1', '2', '3']);
  });

  it('delivers none of them once it was aborted after the broker had ended it', async () => {
    const both = async (_subscription: Subscription, stop: AbortController) => {
      call().end(refusal(8, 'End of readonly partition'));
      await pass();
      stop.abort('enough');
    };
    expect(await behind(both)).toEqual(['enough']);
  });

  it('gives no batch after it was closed', async () => {
    const subscription = await subscribed();
    const loop = subscription.batches()[Symbol.asyncIterator]();
    call().deliver(0, 1);
    await subscription.close();
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });
});

describe('opening a subscription', () => {
  it('rejects when the stream does not exist', async () => {
    cluster.partitions = 0;
    cluster.existing = 'gone';
    await expect(subscribed({ partition: 'all' })).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
    await expect(subscribed()).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' });
  });

  it('reads the partition that was asked for, which may not exist', async () => {
    cluster.partitions = 3;
    const subscription = await subscribed({ partition: 2 });
    expect([call(2).partition, cluster.calls.length, subscription.partition]).toEqual([2, 1, 2]);
    await expect(subscribed({ partition: 3 })).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION' });
  });

  it('is bounded by the request timeout of the client, or its own', async () => {
    cluster.answers = [() => undefined];
    const opening = expect(subscribed({ timeout: 100 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await pass(100);
    await opening;
    const usual = expect(subscribed()).rejects.toMatchObject({ code: 'TIMEOUT' });
    await pass(999);
    expect(call().cancelled).toBeNull();
    await pass(1);
    await usual;
  });

  it('opens every partition or none', async () => {
    cluster.partitions = 2;
    cluster.answers = [(one) => one.confirm(), (one) => one.end(refusal(7, 'denied'))];
    const opening = subscribed({ partition: 'all' });
    await expect(opening).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(cluster.calls.map(({ cancelled }) => cancelled !== null)).toEqual([true, false]);
    expect([ended, vi.getTimerCount(), cluster.listeners.size]).toEqual([1, 0, 0]);
  });

  it('rejects with the reason of a signal that is aborted, before or meanwhile', async () => {
    await expect(subscribed({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
    expect(cluster.calls).toEqual([]);
    cluster.answers = [() => undefined];
    const stop = new AbortController();
    const opening = expect(subscribed({ signal: stop.signal })).rejects.toBe('meanwhile');
    await pass();
    stop.abort('meanwhile');
    await opening;
    expect(call().cancelled).not.toBeNull();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a subscription that hears nothing', () => {
  it('looks for another leader every fifteen seconds, and follows it', async () => {
    await subscribed();
    const before = cluster.refreshes;
    await pass(14_999);
    expect(cluster.refreshes).toBe(before);
    cluster.leaderId = 'b';
    await pass(1);
    expect(cluster.refreshes).toBeGreaterThan(before);
    expect(cluster.refreshed).toEqual(['orders']);
    expect(call().broker).toBe('b');
  });

  it('does not look while messages come, and survives a look that fails', async () => {
    await subscribed();
    const before = cluster.refreshes;
    await pass(10_000);
    call().deliver(0);
    await pass(5_000);
    expect(cluster.refreshes).toBe(before);
    cluster.refreshFails = true;
    cluster.leaderId = 'b';
    await pass(15_000);
    expect(cluster.refreshes).toBe(before + 1);
    expect(cluster.refreshed).toEqual(['orders']);
    expect(call().broker).toBe('a');
  });

  it('follows a change of the leader of its partition at once, and of no other', async () => {
    cluster.partitions = 2;
    await subscribed({ partition: 'all' });
    cluster.leaderId = 'b';
    const changed = (stream: string, partition: number) => {
      for (const listener of cluster.listeners) listener({ stream, partition });
    };
    changed('clicks', 0);
    await pass();
    expect([call(0).broker, call(1).broker]).toEqual(['a', 'a']);
    changed('orders', 1);
    await pass();
    expect([call(0).broker, call(1).broker]).toEqual(['a', 'b']);
    call(0).end(LOST);
    await pass();
    expect(call(0).broker).toBe('b');
  });
});
