import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IdleProbe } from '../../../src/subscribe/idle-probe.js';
import { deferred } from '../../support/deferred.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Times at which the probe was called, from the start on. */
function started(work: () => Promise<void> = async () => undefined) {
  const began = Date.now();
  const times: number[] = [];
  const probe = new IdleProbe(async () => {
    times.push(Date.now() - began);
    await work();
  });
  probe.start();
  return { probe, times };
}

describe('IdleProbe', () => {
  it('probes at longer and longer intervals, up to five seconds', async () => {
    const { times } = started();
    await pass(20_000);
    expect(times).toEqual([300, 900, 2_100, 4_500, 9_300, 14_300, 19_300]);
  });

  it('does not probe while messages come, and then begins with the shortest interval', async () => {
    const { probe, times } = started();
    await pass(950);
    probe.noteActivity();
    await pass(1_150);
    expect(times).toEqual([300, 900]);
    await pass(300);
    expect(times).toEqual([300, 900, 2_400]);
  });

  it('stops, also while it probes', async () => {
    const { probe, times } = started();
    probe.stop();
    expect(vi.getTimerCount()).toBe(0);
    await pass(1_000);
    expect(times).toEqual([]);
    const gate = deferred<void>();
    const slow = started(() => gate.promise);
    await pass(300);
    slow.probe.stop();
    gate.resolve();
    await pass(10_000);
    expect(slow.times).toEqual([300]);
  });

  it('keeps one timer when it is started again, also while it probes', async () => {
    const gate = deferred<void>();
    const { probe, times } = started(() => gate.promise);
    probe.start();
    expect(vi.getTimerCount()).toBe(1);
    await pass(300);
    probe.start();
    gate.resolve();
    await pass(0);
    expect(vi.getTimerCount()).toBe(1);
    await pass(300);
    expect(times).toEqual([300, 600]);
  });
});
