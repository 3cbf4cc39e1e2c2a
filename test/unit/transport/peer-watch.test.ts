import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CHECK_TIMEOUT_MS, PeerWatch, STALE_AFTER_MS } from '../../../src/transport/peer-watch.js';
import { type Deferred, deferred } from '../../support/deferred.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let bytes = 0;
let log: string[] = [];
let called: Deferred<void>;
let watch: PeerWatch;

beforeEach(() => {
  vi.useFakeTimers();
  bytes = 0;
  log = [];
  called = deferred();
  watch = new PeerWatch({
    keepaliveTime: 3_600_000,
    keepaliveTimeout: 15_000,
    received: () => bytes,
    inUse: () => true,
    call: () => {
      log.push('call');
      called = deferred();
      return called.promise;
    },
    ping: () => {
      log.push('ping');
      return new Promise(() => undefined);
    },
    dead: (silence) => log.push(`dead ${silence}`),
  });
});

afterEach(() => {
  watch.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('PeerWatch.check', () => {
  it('resolves true as soon as the call is answered', async () => {
    const check = watch.check();
    bytes++;
    called.resolve();
    expect(await check).toBe(true);
    expect(log).toEqual(['call']);
    expect(watch.stale).toBe(false);
  });

  it('counts any byte, also while the call stays unanswered', async () => {
    const check = watch.check();
    bytes++;
    await vi.advanceTimersByTimeAsync(CHECK_TIMEOUT_MS);
    expect(await check).toBe(true);
    expect(log).toEqual(['call']);
  });

  it('follows the call with one PING, and gives the peer up within its timeout', async () => {
    const check = watch.check();
    await vi.advanceTimersByTimeAsync(CHECK_TIMEOUT_MS - 1);
    expect(log).toEqual(['call', 'ping']);
    await vi.advanceTimersByTimeAsync(2);
    expect(await check).toBe(false);
    expect(log).toEqual(['call', 'ping', `dead ${CHECK_TIMEOUT_MS}`]);
    expect(await watch.check()).toBe(false);
    expect(log).toHaveLength(3);
  });

  it('counts what a busy process reads only after its timers', async () => {
    const check = watch.check();
    await vi.advanceTimersByTimeAsync(CHECK_TIMEOUT_MS / 2);
    // Read in the turn in which the last timer fires, after that timer.
    setTimeout(() => {
      bytes++;
    }, CHECK_TIMEOUT_MS / 2);
    await vi.advanceTimersByTimeAsync(CHECK_TIMEOUT_MS);
    expect(await check).toBe(true);
  });

  it('is shared by all who ask at the same time', async () => {
    const checks = [watch.check(), watch.check()];
    expect(watch.stale).toBe(true);
    bytes++;
    called.resolve();
    expect(await Promise.all(checks)).toEqual([true, true]);
    expect(log).toEqual(['call']);
  });

  it('ends with the watch', async () => {
    const check = watch.check();
    watch.stop();
    called.resolve();
    expect(await check).toBe(false);
    expect(log).toEqual(['call']);
  });
});

describe('PeerWatch.stale', () => {
  it('is true after a silence, and false again after a byte', async () => {
    expect(watch.stale).toBe(false);
    await vi.advanceTimersByTimeAsync(STALE_AFTER_MS);
    expect(watch.stale).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(watch.stale).toBe(true);
    bytes++;
    expect(watch.stale).toBe(false);
  });

  it('is true although bytes came after the last look, when that is long ago', async () => {
    bytes++;
    await vi.advanceTimersByTimeAsync(STALE_AFTER_MS + 2_001);
    expect(watch.stale).toBe(true);
  });
});

describe('PeerWatch after the process was suspended', () => {
  it('checks the peer at once', async () => {
    vi.setSystemTime(Date.now() + 60_000);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(log).toEqual(['call']);
    await vi.advanceTimersByTimeAsync(CHECK_TIMEOUT_MS + 1);
    expect(log).toEqual(['call', 'ping', `dead ${CHECK_TIMEOUT_MS}`]);
  });

  it('does not mind a tick that is a little late', async () => {
    vi.setSystemTime(Date.now() + 1_900);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(log).toEqual([]);
  });
});
