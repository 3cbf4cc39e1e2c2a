import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Consumer } from '../../../src/consumer/consumer.js';
import type { ConsumerOptions } from '../../../src/consumer/consumer-options.js';
import type { ConsumerContext } from '../../../src/consumer/context.js';
import { encodeMark } from '../../../src/consumer/partitions/ownership.js';
import { ConnectionError, errorFromStatus, PermissionDeniedError } from '../../../src/errors.js';
import type { Message } from '../../../src/protocol/received-message.js';
import { FakeCluster, refusal } from '../subscribe/fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const SECONDS = 1_000_000_000n;

let cluster: FakeCluster;
/** Calls of the group's RPCs, in order. */
let asked: string[];
let cursors: Map<string, bigint>;
let members: Set<unknown>;
/** What the coordinator assigns, under which epoch. */
let group: { epoch: bigint; assignments: { stream: string; partitions: number[] }[]; failure: Error | null };
/** What fails of the calls of this name. */
let failing: Record<string, Error>;
let consumers: Consumer[];
/** Nanoseconds without a poll after which a member is expired, from the next join on. */
let consumerTimeout: bigint;
let failStores: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(100_000);
  cluster = new FakeCluster();
  cluster.partitions = 3;
  asked = [];
  cursors = new Map();
  members = new Set();
  group = { epoch: 4n, assignments: [{ stream: 'orders', partitions: [0] }], failure: null };
  failing = {};
  consumers = [];
  consumerTimeout = 10n * SECONDS;
  failStores = false;
});
afterEach(async () => {
  const closing = Promise.all(consumers.map((one) => one.close({ timeout: 0 })));
  await pass(10_000);
  await closing;
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

function answer(method: string): unknown {
  asked.push(method);
  if (failing[method] !== undefined) throw failing[method];
  if (method === 'joinConsumerGroup') {
    group.failure = null;
    return { coordinator: 'b', epoch: group.epoch, consumerTimeout, coordinatorTimeout: 10n * SECONDS };
  }
  if (method === 'fetchConsumerGroupAssignments') {
    if (group.failure !== null) throw group.failure;
    return { epoch: group.epoch, assignments: group.assignments };
  }
  return { metadata: { newestOffset: 9n, highWatermark: 9n, isr: ['a'] }, groupMetadata: [] };
}

function consumerOf(options: ConsumerOptions = {}): Consumer {
  Object.assign(cluster, {
    logger: { debug: () => undefined, warn: () => undefined, error: () => undefined },
    callAny: async (method: string) => answer(method),
    callBroker: async (method: string) => answer(method),
    callLeader: async (method: string) => answer(method),
  });
  const context = {
    cluster,
    requestTimeout: 1_000,
    resubscribeTimeout: 2_000,
    publisher: { publish: async () => null },
    cursors: {
      fetch: async (id: string, stream: string, partition: number) =>
        cursors.get(`${id} ${stream}/${partition}`) ?? -1n,
      set: async (id: string, stream: string, partition: number, offset: bigint) => {
        if (failStores) throw new ConnectionError('no leader', { reason: 'no-leader' });
        cursors.set(`${id} ${stream}/${partition}`, offset);
      },
    },
    started: (one: unknown) => members.add(one),
    ended: (one: unknown) => members.delete(one),
  } as unknown as ConsumerContext;
  const consumer = Consumer.create(context, 'billing', { autoOffset: 'earliest', ...options });
  consumers.push(consumer);
  return consumer;
}

/** The consumer and its loop, with partition 0 of "orders" being read. */
async function subscribed(options: ConsumerOptions = {}, signal?: AbortSignal) {
  const consumer = consumerOf(options);
  const opening = consumer.subscribe(['orders', 'orders'], { signal });
  await pass(50);
  const loop = (await opening)[Symbol.asyncIterator]();
  return { consumer, loop };
}

const position = () => cursors.get('__group:billing orders/0');
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: { code?: string }) => error.code ?? error,
  );

describe('a consumer', () => {
  it('joins its group, delivers messages and leaves with its position stored', async () => {
    const assigned: unknown[] = [];
    const { consumer, loop } = await subscribed({ onAssigned: (...given) => void assigned.push(given) });
    expect([...consumer.assignments]).toEqual([['orders', [0]]]);
    expect([assigned, members.has(consumer)]).toEqual([[['orders', [0]]], true]);
    cluster.call.deliver(0, 1);
    expect(((await loop.next()).value as Message).offset).toBe(0n);
    expect(((await loop.next()).value as Message).offset).toBe(1n);
    const closing = consumer.close();
    await pass(2_000);
    await closing;
    expect([position(), asked.at(-1)]).toEqual([0n, 'leaveConsumerGroup']);
    expect([consumer.assignments.size, members.size, vi.getTimerCount()]).toEqual([0, 0, 0]);
    expect(await loop.next()).toEqual({ done: true, value: undefined });
    expect(await codeOf(consumer.checkpoint())).toBe('CLOSED');
  });

  it('closes when its loop is left, with the current message not processed', async () => {
    const { loop } = await subscribed();
    cluster.call.deliver(0);
    await loop.next();
    const left = loop.return!();
    await pass(2_000);
    expect(await left).toEqual({ done: true, value: undefined });
    expect([position() ?? -1n, members.size]).toEqual([-1n, 0]);
  });

  it('stores positions on its timer, and when it is asked to', async () => {
    const { consumer, loop } = await subscribed({ autoCheckpoint: 3_000 });
    cluster.call.deliver(0, 1, 2);
    await loop.next();
    await loop.next();
    await pass(2_900);
    expect(position()).toBeUndefined();
    await pass(100);
    expect(position()).toBe(0n);
    await loop.next();
    await consumer.checkpoint();
    expect(position()).toBe(1n);
  });

  it('stores no position on a timer without an interval', async () => {
    const { loop } = await subscribed({ autoCheckpoint: false });
    cluster.call.deliver(0, 1);
    await loop.next();
    await loop.next();
    await pass(60_000);
    expect(position()).toBeUndefined();
  });

  it('says how far it is behind', async () => {
    const { consumer } = await subscribed();
    expect(await consumer.lag()).toEqual([
      { stream: 'orders', partition: 0, position: 0n, highWatermark: 9n, lag: 10n },
    ]);
    await expect(consumer.lag({ timeout: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is for one subscription', async () => {
    const { consumer } = await subscribed();
    expect(await codeOf(consumer.subscribe(['orders']))).toBe('CONSUMER_EXISTS');
    const unused = consumerOf();
    expect(await codeOf(unused.checkpoint())).toBe('INVALID_ARGUMENT');
    expect(await codeOf(unused.run(async () => undefined))).toBe('INVALID_ARGUMENT');
    await unused.close();
    expect(await codeOf(unused.subscribe(['orders']))).toBe('CLOSED');
    expect(await codeOf(unused.run(async () => undefined))).toBe('CLOSED');
  });

  it('may subscribe again after a failure', async () => {
    const consumer = consumerOf();
    failing = { joinConsumerGroup: new PermissionDeniedError('no') };
    expect(await codeOf(consumer.subscribe(['orders']))).toBe('PERMISSION_DENIED');
    expect(members.size).toBe(0);
    failing = {};
    const opening = consumer.subscribe(['orders']);
    await pass(50);
    await opening;
    expect(members.size).toBe(1);
  });

  it('leaves the group when its poll interval is no interval', async () => {
    const consumer = consumerOf({ fetchAssignmentsInterval: () => 0 });
    expect(await codeOf(consumer.subscribe(['orders']))).toBe('INVALID_ARGUMENT');
    expect(asked).toEqual(['joinConsumerGroup', 'leaveConsumerGroup']);
  });

  it('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const { consumer, loop } = await subscribed({}, stop.signal);
    const waiting = codeOf(loop.next());
    stop.abort('enough');
    expect(await waiting).toBe('enough');
    await pass(2_000);
    expect([asked.at(-1), members.size, consumer.assignments.size]).toEqual(['leaveConsumerGroup', 0, 0]);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
    expect(await codeOf(consumerOf().subscribe(['orders'], { signal: AbortSignal.abort('before') }))).toBe('before');
  });

  it('does not listen to its signal once it is closed', async () => {
    const { signal } = new AbortController();
    const { consumer } = await subscribed({}, signal);
    const closing = consumer.close();
    await pass(2_000);
    await closing;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends with what its partitions can never be read for', async () => {
    const { loop } = await subscribed();
    const waiting = codeOf(loop.next());
    cluster.call.end(refusal(7, 'denied'));
    expect(await waiting).toBe('PERMISSION_DENIED');
    await pass(2_000);
    expect([asked.at(-1), members.size]).toEqual(['leaveConsumerGroup', 0]);
  });

  it('rejects when its first partitions can never be read', async () => {
    cluster.answers = [(call) => call.end(refusal(7, 'denied'))];
    const opening = codeOf(consumerOf().subscribe(['orders']));
    await pass(2_000);
    expect(await opening).toBe('PERMISSION_DENIED');
    expect(asked.at(-1)).toBe('leaveConsumerGroup');
  });

  it('gives up a partition that is not assigned any more, and takes over another', async () => {
    const revoked: unknown[] = [];
    const { consumer, loop } = await subscribed({ onRevoked: (...given) => void revoked.push(given) });
    cluster.call.deliver(0, 1);
    await loop.next();
    await loop.next();
    group.assignments = [{ stream: 'orders', partitions: [1] }];
    group.epoch = 5n;
    await pass(10_000);
    expect(revoked).toEqual([['orders', [0]]]);
    expect([...consumer.assignments]).toEqual([['orders', [1]]]);
    const changes = cluster.emitted.filter(([name]) => name === 'rebalance').map(([, change]) => change);
    expect(changes).toMatchObject([
      { epoch: 4n, assigned: new Map([['orders', [0]]]), revoked: new Map() },
      { epoch: 5n, assigned: new Map([['orders', [1]]]), revoked: new Map([['orders', [0]]]) },
    ]);
  });

  it('looks for its streams when nothing is assigned, and ends when none is left', async () => {
    const { loop } = await subscribed();
    const waiting = codeOf(loop.next());
    cluster.existing = 'gone';
    group.assignments = [];
    group.epoch = 5n;
    await pass(4_000);
    expect(await waiting).toBe('STREAM_DELETED');
  });

  it('ends with what its polls can never succeed for', async () => {
    const { loop } = await subscribed();
    const waiting = codeOf(loop.next());
    group.failure = new PermissionDeniedError('no');
    await pass(4_000);
    expect(await waiting).toBe('PERMISSION_DENIED');
  });

  it('joins again when it was expired, and reads its partitions again', async () => {
    const { consumer } = await subscribed();
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', {
      code: 9,
      details: 'consumer is not a member of the consumer group',
    });
    asked.length = 0;
    await pass(5_000);
    expect(asked).toContain('joinConsumerGroup');
    expect([...consumer.assignments]).toEqual([['orders', [0]]]);
    const changes = cluster.emitted.filter(([name]) => name === 'rebalance').map(([, change]) => change);
    expect(changes.slice(1)).toMatchObject([
      { assigned: new Map(), revoked: new Map([['orders', [0]]]) },
      { assigned: new Map([['orders', [0]]]), revoked: new Map() },
    ]);
  });

  it('claims an id that the application has chosen, and ends when another process takes it', async () => {
    const random = await subscribed();
    const claims = () => [...cursors.keys()].filter((key) => key.startsWith('__member:'));
    expect(claims()).toEqual([]);
    const closing = random.consumer.close();
    await pass(2_000);
    await closing;
    const { loop } = await subscribed({ consumerId: 'mine' });
    const [claim] = claims();
    expect(claim).toBe('__member:billing:mine __cursors/0');
    const waiting = codeOf(loop.next());
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', { code: 14, details: 'away' });
    await pass(20_000);
    cursors.set(claim!, 1n);
    group.failure = null;
    asked.length = 0;
    await pass(5_000);
    expect(await waiting).toBe('CONSUMER_EXISTS');
    expect(asked).not.toContain('leaveConsumerGroup');
  });

  it('waits for an owner that is releasing a partition for as long as that may take', async () => {
    // `revokeTimeout` of the owner, and 5 s for its calls.
    const [longest, mark] = [2_000 + 5_000, encodeMark({ generation: 3n, owner: 7n, state: 'releasing' })];
    cursors.set('__owner:billing orders/0', mark);
    const { loop } = await subscribed({ revokeTimeout: 2_000 });
    let received: unknown = null;
    void loop.next().then(({ value }) => {
      received = (value as Message | undefined)?.offset;
    });
    cluster.call.deliver(0);
    await pass(longest - 100);
    expect(received).toBeNull();
    await pass(1_000);
    expect(received).toBe(0n);
  });

  it('gives its partitions up when it may have been expired and the group has changed since', async () => {
    await subscribed();
    const reads = cluster.calls.length;
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', { code: 14, details: 'away' });
    await pass(11_000);
    group.failure = null;
    group.epoch = 5n;
    await pass(2_000);
    const changes = cluster.emitted.filter(([name]) => name === 'rebalance').map(([, change]) => change);
    expect(changes.slice(1)).toMatchObject([
      { assigned: new Map(), revoked: new Map([['orders', [0]]]) },
      { epoch: 5n, assigned: new Map([['orders', [0]]]), revoked: new Map() },
    ]);
    expect(cluster.calls.length).toBeGreaterThan(reads);
  });

  it('does not set back what a client without marks has stored while it may have been expired', async () => {
    const { loop } = await subscribed({ autoCheckpoint: false, revokeTimeout: 100 });
    cluster.call.deliver(0, 1);
    await loop.next();
    void loop.next();
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', { code: 14, details: 'away' });
    await pass(11_000);
    cursors.set('__group:billing orders/0', 5n);
    group.failure = null;
    group.epoch = 5n;
    await pass(4_000);
    expect(position()).toBe(5n);
    expect(cluster.call.request.startOffset).toBe(6n);
  });

  it('keeps its partitions when it may have been expired and the group has not changed', async () => {
    await subscribed();
    const reads = cluster.calls.length;
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', { code: 14, details: 'away' });
    await pass(11_000);
    group.failure = null;
    await pass(2_000);
    expect(cluster.emitted.filter(([name]) => name === 'rebalance')).toHaveLength(1);
    expect(cluster.calls.length).toBe(reads);
  });

  it('gives its partitions up when it may have been expired and the group is at epoch 0, as a new group is', async () => {
    group.epoch = 0n;
    await subscribed();
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', { code: 14, details: 'away' });
    await pass(11_000);
    group.failure = null;
    await pass(2_000);
    expect(cluster.emitted.filter(([name]) => name === 'rebalance')).toHaveLength(3);
  });

  it('polls as often as the group asks for after it has joined again', async () => {
    await subscribed();
    group.failure = errorFromStatus('FetchConsumerGroupAssignments', {
      code: 9,
      details: 'consumer is not a member of the consumer group',
    });
    consumerTimeout = 60n * SECONDS;
    asked.length = 0;
    await pass(5_000);
    expect(asked).toContain('joinConsumerGroup');
    asked.length = 0;
    await pass(48_000);
    expect(asked.filter((method) => method === 'fetchConsumerGroupAssignments')).toHaveLength(2);
  });

  it('leaves time for leaving the group when positions cannot be stored at its end', async () => {
    const { consumer, loop } = await subscribed();
    cluster.call.deliver(0, 1);
    await loop.next();
    await loop.next();
    failStores = true;
    asked.length = 0;
    const closing = consumer.close({ timeout: 3_000 });
    await pass(2_900);
    expect(asked.at(-1)).toBe('leaveConsumerGroup');
    expect(cluster.emitted.map(([name]) => name)).toContain('asyncError');
    await pass(100);
    await closing;
  });

  it('takes no longer to close than it may', async () => {
    const { consumer, loop } = await subscribed();
    cluster.call.deliver(0);
    await loop.next();
    const began = performance.now();
    const closed = consumer.close({ timeout: 300 }).then(() => performance.now() - began);
    await pass(300);
    expect(await closed).toBeLessThanOrEqual(300);
    const other = await subscribed();
    cluster.call.deliver(0);
    await other.loop.next();
    const usual = other.consumer.close().then(() => performance.now() - began);
    await pass(5_000);
    expect(await usual).toBeGreaterThanOrEqual(1_000);
  });
});

describe('consumer.run', () => {
  it('hands each message to the handler, once at a time, until the consumer is closed', async () => {
    const consumer = consumerOf();
    const seen: bigint[] = [];
    const running = consumer.run(async ({ offset }) => void seen.push(offset), { streams: ['orders'] });
    await pass(50);
    cluster.call.deliver(0, 1, 2);
    await pass();
    expect(await codeOf(consumer.run(async () => undefined))).toBe('INVALID_ARGUMENT');
    const closing = consumer.close();
    await pass(2_000);
    await Promise.all([closing, running]);
    expect([seen, position()]).toEqual([[0n, 1n, 2n], 2n]);
  });

  it('rejects with the failure of its handler, or the reason of its signal', async () => {
    const failed = codeOf(
      consumerOf().run(() => Promise.reject(new Error('bad')), { streams: ['orders'], retries: 0 }),
    );
    await pass(50);
    cluster.call.deliver(0);
    await pass(2_000);
    expect(await failed).toBe('HANDLER_FAILED');
    const { consumer } = await subscribed();
    const stop = new AbortController();
    const aborted = codeOf(consumer.run(async () => undefined, { signal: stop.signal }));
    stop.abort('enough');
    await pass(2_000);
    expect(await aborted).toBe('enough');
    const before = consumerOf().run(async () => undefined, {
      streams: ['orders'],
      signal: AbortSignal.abort('before'),
    });
    expect(await codeOf(before)).toBe('before');
  });

  it('resolves when the consumer is closed while it joins', async () => {
    const consumer = consumerOf();
    failing = { joinConsumerGroup: errorFromStatus('JoinConsumerGroup', { code: 14, details: 'away' }) };
    const running = codeOf(consumer.run(async () => undefined, { streams: ['orders'] }));
    await pass(10);
    const closing = consumer.close();
    await pass(5_000);
    await closing;
    expect(await running).toBeNull();
  });
});
