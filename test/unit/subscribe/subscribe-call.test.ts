import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Waiting } from '../../../src/async/deadline.js';
import { encodeSubscribe, planRead } from '../../../src/subscribe/positions.js';
import { NotConfirmed, openSubscribeCall } from '../../../src/subscribe/subscribe-call.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { FakeCluster, LOST } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
let received: [offsets: number[], bytes: number][];
beforeEach(() => {
  vi.useFakeTimers();
  cluster = new FakeCluster();
  cluster.answers = [() => undefined];
  received = [];
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const request = encodeSubscribe('orders', 0, planRead({}), { start: { at: 'earliest' }, stop: { at: 'never' } });
const open = (waiting: Waiting = {}) =>
  openSubscribeCall(
    cluster as never,
    cluster.leader()!,
    request,
    (messages, bytes) => received.push([messages.map(({ offset }) => Number(offset)), bytes]),
    waiting,
  ).then(
    (call) => ({ call }),
    (error: unknown) => ({ error }),
  );

describe('openSubscribeCall', () => {
  it('resolves when the broker has confirmed, and hands over each chunk at once', async () => {
    const { signal } = new AbortController();
    const opening = open({ signal, timeout: 1_000 });
    await pass();
    const { call } = cluster;
    call.confirm();
    call.batch();
    expect(received).toEqual([]);
    call.deliver(0, 1);
    call.deliver(2);
    expect(await opening).toEqual({ call });
    expect(received.map(([offsets]) => offsets)).toEqual([[0, 1], [2]]);
    const [[, both], [, one]] = received as [[number[], number], [number[], number]];
    expect(both).toBeGreaterThan(one);
    expect(one).toBeGreaterThan(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await pass(2_000);
    expect(call.cancelled).toBeNull();
  });

  it('accepts messages of 64 MiB', async () => {
    const options: unknown[] = [];
    const session = await cluster.session({ id: 'a' });
    const { open: openStream } = session;
    session.open = (...args: unknown[]) => {
      options.push(args);
      return openStream();
    };
    cluster.session = async () => session;
    void open();
    await pass();
    expect(options).toEqual([['/proto.API/Subscribe', { maxMessageBytes: 67_108_864 }]]);
  });

  it('cancels and rejects when the broker does not confirm in time', async () => {
    const opening = open({ timeout: 1_000 });
    await pass(999);
    expect(cluster.call.cancelled).toBeNull();
    await pass(1);
    const result = await opening;
    expect(result).toMatchObject({ error: { code: 4, sent: true } });
    expect('error' in result && result.error).toBeInstanceOf(RpcFailure);
    expect(cluster.call.cancelled).toBe('the broker did not confirm the subscription in time');
  });

  it('counts the time that the connection has taken', async () => {
    const session = await cluster.session({ id: 'a' });
    cluster.session = () => new Promise((resolve) => setTimeout(() => resolve(session), 600));
    const opening = open({ timeout: 1_000 });
    await pass(999);
    expect(cluster.call.cancelled).toBeNull();
    await pass(1);
    expect(await opening).toMatchObject({ error: { code: 4 } });
  });

  it('waits without end where no time is set', async () => {
    const opening = open();
    await pass();
    expect(vi.getTimerCount()).toBe(0);
    cluster.call.confirm();
    expect(await opening).toEqual({ call: cluster.call });
  });

  it('rejects with the end of a call that was not confirmed', async () => {
    const opening = open();
    await pass();
    cluster.call.end(LOST);
    const { error } = (await opening) as { error: NotConfirmed };
    expect(error).toBeInstanceOf(NotConfirmed);
    expect(error).toMatchObject({ name: 'NotConfirmed', message: LOST.message, end: LOST });
  });

  it.each([
    ['before', true],
    ['meanwhile', false],
  ])('cancels and rejects with the reason of a signal that aborts %s', async (_when, isBefore) => {
    const stop = new AbortController();
    if (isBefore) stop.abort('enough');
    const opening = open({ signal: stop.signal });
    await pass();
    stop.abort('enough');
    expect(await opening).toEqual({ error: 'enough' });
    expect(cluster.call.cancelled).toBe('subscribe was aborted');
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });
});
