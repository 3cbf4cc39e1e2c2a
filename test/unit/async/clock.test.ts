import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { monotonicNow } from '../../../src/async/clock.js';
import { nextTurn, sleep } from '../../../src/async/sleep.js';

const source = fileURLToPath(new URL('../../../src', import.meta.url));

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('monotonicNow', () => {
  it('does not follow a wall clock that steps, nor fake timers', () => {
    const before = monotonicNow();
    vi.useFakeTimers({ now: 0 });
    vi.advanceTimersByTime(3_600_000);
    const after = monotonicNow();
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after - before).toBeLessThan(3_600_000);
  });
});

describe('sleep and nextTurn', () => {
  it('resolve while the global timers are fake', async () => {
    vi.useFakeTimers();
    await sleep(1);
    await nextTurn();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('sleep rejects with the reason of its signal, before and during the wait', async () => {
    await expect(sleep(60_000, AbortSignal.abort('early'))).rejects.toBe('early');
    const abort = new AbortController();
    const waiting = sleep(60_000, abort.signal);
    abort.abort('late');
    await expect(waiting).rejects.toBe('late');
  });

  it('sleep takes its listener off the signal', async () => {
    const { signal } = new AbortController();
    const remove = vi.spyOn(signal, 'removeEventListener');
    await sleep(0, signal);
    expect(remove).toHaveBeenCalledTimes(1);
  });
});

describe('the sources of the client', () => {
  /** Start positions of reads are points in the wall time of the application, which a test may have set. */
  const APPLICATION_TIME = ['subscribe/positions.ts'];
  /** A wall clock that runs ahead of the monotonic one tells that the machine slept; certificates are valid in wall time. */
  const WALL_TIME = ['transport/client-certificate.ts', 'async/ticker.ts', 'consumer/membership/membership.ts'];

  it('read the wall clock only where a point in wall time is meant, and take timers from one module', () => {
    const wrong: string[] = [];
    for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.includes('generated')) continue;
      const text = readFileSync(join(source, file), 'utf8');
      if (/\bwallNow\(\)/.test(text) && !WALL_TIME.includes(file) && file !== 'async/clock.ts')
        wrong.push(`${file}: wallNow`);
      if (file.startsWith('async/')) continue;
      if (/\bDate\.now\(\)/.test(text) && !APPLICATION_TIME.includes(file)) wrong.push(`${file}: Date.now`);
      if (/\bperformance\.now\(\)/.test(text)) wrong.push(`${file}: performance.now`);
      if (/node:timers|AbortSignal\.timeout/.test(text)) wrong.push(`${file}: timers of its own`);
      if (/process\.nextTick/.test(text)) wrong.push(`${file}: the tick of the process`);
      const timers = [
        ...text.matchAll(/(?<![\w.#])(?:(?:set|clear)(?:Timeout|Interval|Immediate)|queueMicrotask)\b(?=\()/g),
      ];
      if (timers.length > 0 && !/from '(?:\.\.?\/)+async\/timers\.js'/.test(text)) wrong.push(`${file}: global timers`);
    }
    expect(wrong).toEqual([]);
  });
});
