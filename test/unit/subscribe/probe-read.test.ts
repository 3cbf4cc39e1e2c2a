import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Waiting } from '../../../src/async/deadline.js';
import { encodeSubscribe, planRead } from '../../../src/subscribe/positions.js';
import { probeRead } from '../../../src/subscribe/probe-read.js';
import { FakeCluster, refusal } from './fakes.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let cluster: FakeCluster;
beforeEach(() => {
  vi.useFakeTimers();
  cluster = new FakeCluster();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const request = encodeSubscribe('orders', 0, planRead({}), { start: { at: 'earliest' }, stop: { at: 'never' } });

function probe(count: number, waiting: Waiting = {}) {
  const settled = probeRead(cluster as never, cluster.leader()!, request, { count, silence: 500, ...waiting }).then(
    ({ messages, end }) => ({ offsets: messages.map(({ offset }) => Number(offset)), end }),
    (error: unknown) => ({ error }),
  );
  return settled;
}

describe('probeRead', () => {
  it('returns the first messages and cancels the call', async () => {
    const result = probe(2);
    await pass();
    cluster.call.deliver(3);
    expect(cluster.call.cancelled).toBeNull();
    cluster.call.deliver(4, 5);
    expect(await result).toEqual({ offsets: [3, 4], end: null });
    expect(cluster.call.cancelled).toBe('the probe read is complete');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends after a silence with what has arrived', async () => {
    const result = probe(2);
    await pass();
    cluster.call.deliver(3);
    await pass(499);
    expect(cluster.call.cancelled).toBeNull();
    await pass(1);
    expect(await result).toEqual({ offsets: [3], end: null });
    expect(cluster.call.cancelled).not.toBeNull();
  });

  it('returns the end of a call that its broker ends, confirmed or not', async () => {
    const end = refusal(8, 'Stop offset reached');
    const result = probe(2);
    await pass();
    cluster.call.deliver(3);
    cluster.call.end(end);
    expect(await result).toEqual({ offsets: [3], end });
    cluster.answers = [(call) => call.end(end)];
    expect(await probe(2)).toEqual({ offsets: [], end });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects with the reason of its signal, and listens to it no longer', async () => {
    const stop = new AbortController();
    const result = probe(2, { signal: stop.signal });
    await pass();
    stop.abort('enough');
    expect(await result).toEqual({ error: 'enough' });
    expect(cluster.call.cancelled).toBe('the probe read was aborted');
    const { signal } = new AbortController();
    const full = probe(1, { signal });
    await pass();
    cluster.call.deliver(0);
    await full;
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it.each([
    [{}, 3_000],
    [{ timeout: 100 }, 100],
  ])('rejects when the broker does not confirm in time: %j', async (waiting, timeout) => {
    cluster.answers = [() => undefined];
    const result = probe(1, waiting);
    await pass(timeout - 1);
    expect(cluster.call.cancelled).toBeNull();
    await pass(1);
    expect(await result).toMatchObject({ error: { code: 4 } });
  });

  it('rejects when the broker cannot be reached', async () => {
    const refused = new Error('refused');
    cluster.session = () => Promise.reject(refused);
    expect(await probe(1)).toEqual({ error: refused });
    expect(vi.getTimerCount()).toBe(0);
  });
});
