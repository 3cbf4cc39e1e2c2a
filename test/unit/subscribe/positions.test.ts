import { afterEach, describe, expect, it, vi } from 'vitest';
import { SubscribeRequest } from '../../../src/protocol/generated/api.js';
import { encodeSubscribe, planRead, readSubscribe, type SubscribeOptions } from '../../../src/subscribe/positions.js';

const plan = (options: SubscribeOptions) => planRead(readSubscribe('orders', options));

function request(options: SubscribeOptions): SubscribeRequest {
  const { start, stop, ...rest } = plan(options);
  if (start.at === 'cursor') throw new RangeError('a cursor is no position of the wire');
  return SubscribeRequest.decode(encodeSubscribe('orders', 3, { start, stop, ...rest }, { start, stop }));
}

describe('planRead', () => {
  it.each<[SubscribeOptions['startAt'], object]>([
    [undefined, { at: 'new' }],
    ['earliest', { at: 'earliest' }],
    [{ offset: 5 }, { at: 'offset', offset: 5n }],
    [{ offset: 5n }, { at: 'offset', offset: 5n }],
    [{ time: new Date(1_500) }, { at: 'time', time: 1_500_000_000n }],
    [{ time: 7n }, { at: 'time', time: 7n }],
    [{ cursor: 'me' }, { at: 'cursor', cursor: 'me' }],
  ])('reads startAt %o', (startAt, start) => {
    expect(plan({ startAt }).start).toEqual(start);
  });

  it('turns a time ago into a time', () => {
    const earliest = Date.now() - 1_000;
    const { start } = plan({ startAt: { ago: 1_000 } });
    const time = start.at === 'time' ? Number(start.time / 1_000_000n) : Number.NaN;
    expect(time).toBeGreaterThanOrEqual(earliest);
    expect(time).toBeLessThanOrEqual(Date.now() - 1_000);
  });

  it("begins with the newest message in reverse, also for 'new'", () => {
    expect(plan({ reverse: true }).start).toEqual({ at: 'latest' });
    expect(plan({ reverse: true, startAt: 'new' }).start).toEqual({ at: 'latest' });
  });

  it.each<[string, object]>([
    ['startAt', { startAt: {} }],
    ['startAt', { startAt: { offset: 1, cursor: 'x' } }],
    ['startAt.offset', { startAt: { offset: -1 } }],
    ['startAt.time', { startAt: { time: new Date(Number.NaN) } }],
    ['startAt.time', { startAt: { time: -1n } }],
    ['startAt.time', { startAt: { time: 2n ** 63n } }],
    ['startAt.time', { startAt: { time: -5 } }],
    ['startAt.ago', { startAt: { ago: -1 } }],
    ['startAt.cursor', { startAt: { cursor: '' } }],
    ['stopAt', { stopAt: { cursor: 'x' } }],
    ['stopAt.offset', { stopAt: { offset: 0.5 } }],
    ['to be in the past', { stopAt: { time: new Date(Date.now() + 9_000) } }],
  ])('refuses what %s may not be, naming it', (name, options) => {
    expect(() => plan(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(name) }),
    );
  });
});

describe('planRead at a certain time', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('takes a stop time up to now', () => {
    vi.useFakeTimers({ now: 5 });
    expect(plan({ stopAt: { time: new Date(5) } }).stop).toEqual({ at: 'time', time: 5_000_000n });
    expect(() => plan({ stopAt: { time: new Date(6) } })).toThrow('to be in the past');
    expect(plan({ startAt: { time: 2n ** 63n - 1n } }).start).toEqual({ at: 'time', time: 2n ** 63n - 1n });
    expect(plan({ startAt: { ago: 2 } }).start).toEqual({ at: 'time', time: 3_000_000n });
  });
});

describe('encodeSubscribe', () => {
  it('writes positions as the wire has them, and no field of another position', () => {
    expect(request({ startAt: { offset: 5 }, stopAt: { offset: 9 }, resume: true })).toMatchObject({
      stream: 'orders',
      partition: 3,
      startPosition: 1,
      startOffset: 5n,
      startTimestamp: 0n,
      stopPosition: 1,
      stopOffset: 9n,
      stopTimestamp: 0n,
      resume: true,
      reverse: false,
    });
    expect(request({ startAt: { time: 5n }, stopAt: { time: 9n } })).toMatchObject({
      startPosition: 4,
      startTimestamp: 5n,
      stopPosition: 3,
      stopTimestamp: 9n,
    });
  });

  it('asks for no stop in reverse, where brokers refuse one below the start', () => {
    const { reverse, stopPosition } = request({ reverse: true, startAt: { offset: 5 }, stopAt: { offset: 1 } });
    expect({ reverse, stopPosition }).toEqual({ reverse: true, stopPosition: 0 });
  });
});
