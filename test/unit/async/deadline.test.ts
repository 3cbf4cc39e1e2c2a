import { describe, expect, it, vi } from 'vitest';
import { Deadline, orAbort, orDeadline, withDeadline, within } from '../../../src/async/deadline.js';
import { deferred } from '../../../src/async/deferred.js';
import { ClosedError, TimeoutError } from '../../../src/errors.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

const late = (timeout: number): Error => new TimeoutError(`late after ${timeout}`);
const open = (): AbortSignal => new AbortController().signal;
const never = (): Promise<never> => new Promise(() => undefined);

describe('withDeadline', () => {
  it('rejects with the error for a lack of time, even when the work never ends', async () => {
    const bounds = { waiting: { timeout: 5 }, timeout: 60_000, closed: open(), late };
    await expect(withDeadline(bounds, never)).rejects.toThrow('late after 5');
  });

  it('takes the default when the caller says nothing', async () => {
    await expect(withDeadline({ waiting: {}, timeout: 5, closed: open(), late }, never)).rejects.toThrow(
      'late after 5',
    );
  });

  it("rejects with the signal's own reason, whatever it is, without starting when it is aborted already", async () => {
    const controller = new AbortController();
    const bounds = { waiting: { signal: controller.signal }, timeout: 60_000, closed: open(), late };
    const waiting = withDeadline(bounds, never);
    controller.abort('my reason');
    await expect(waiting).rejects.toBe('my reason');
    const work = vi.fn(never);
    await expect(withDeadline(bounds, work)).rejects.toBe('my reason');
    expect(work).not.toHaveBeenCalled();
  });

  it('rejects when the client closes', async () => {
    const closing = new AbortController();
    const waiting = withDeadline({ waiting: {}, timeout: 60_000, closed: closing.signal, late }, never);
    closing.abort(new ClosedError('closed'));
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('leaves no listener on the signals and no timer behind', async () => {
    vi.useFakeTimers();
    try {
      const signal = open();
      const add = vi.spyOn(signal, 'addEventListener');
      const remove = vi.spyOn(signal, 'removeEventListener');
      const bounds = { waiting: { signal }, timeout: 60_000, closed: signal, late };
      expect(await withDeadline(bounds, async (deadline) => deadline.timeout)).toBe(60_000);
      expect(add).toHaveBeenCalledTimes(1);
      expect(remove).toHaveBeenCalledTimes(1);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('Deadline', () => {
  it('counts down to zero', () => {
    const deadline = new Deadline(0, [], late);
    expect(deadline.remaining).toBe(0);
    deadline.dispose();
  });
});

describe('orAbort', () => {
  it('passes results and errors through and takes its listener off', async () => {
    const signal = open();
    const remove = vi.spyOn(signal, 'removeEventListener');
    expect(await orAbort(Promise.resolve(1), signal)).toBe(1);
    await expect(orAbort(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    expect(remove).toHaveBeenCalledTimes(2);
  });

  it('leaves no unhandled rejection when the work fails after the abort', async () => {
    const controller = new AbortController();
    let fail: (error: Error) => void = () => undefined;
    const waiting = orAbort(new Promise((_, reject) => (fail = reject)), controller.signal);
    controller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    fail(new Error('later'));
  });
});

describe('orAbort without a signal', () => {
  it('is the promise itself', () => {
    const work = Promise.resolve(1);
    expect(orAbort(work, undefined)).toBe(work);
  });
});

describe('orDeadline', () => {
  it('rejects with the late error when the deadline passes, also when it has passed before', async () => {
    await expect(orDeadline(never(), performance.now() + 5, () => late(5))).rejects.toThrow('late after 5');
    await expect(orDeadline(never(), Number.NEGATIVE_INFINITY, () => late(0))).rejects.toThrow('late after 0');
  });

  it('passes results and errors on and leaves no timer behind', async () => {
    vi.useFakeTimers();
    try {
      const deadline = performance.now() + 60_000;
      expect(await orDeadline(Promise.resolve(1), deadline, () => late(1))).toBe(1);
      await expect(orDeadline(Promise.reject(new Error('no')), deadline, () => late(1))).rejects.toThrow('no');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('waits for the deadline when it is further away than a timer can be set', async () => {
    vi.useFakeTimers();
    try {
      let isOver = false;
      const waiting = orDeadline(never(), Number.POSITIVE_INFINITY, () => late(1)).catch(() => (isOver = true));
      await vi.advanceTimersByTimeAsync(60_000);
      expect(isOver).toBe(false);
      vi.runAllTimers();
      await waiting;
      expect(isOver).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('within', () => {
  it('is the result in time, null later, and the error in time', async () => {
    expect(await within(60_000, Promise.resolve(1))).toBe(1);
    expect(await within(1, never())).toBeNull();
    expect(await within(-1, never())).toBeNull();
    await expect(within(60_000, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('leaves no unhandled rejection when the work fails later', async () => {
    const { promise, reject } = deferred<never>();
    expect(await within(1, promise)).toBeNull();
    reject(new Error('later'));
  });

  it('leaves no timer behind, and with ref: false does not keep the process alive', async () => {
    const set = vi.spyOn(globalThis, 'setTimeout');
    const clear = vi.spyOn(globalThis, 'clearTimeout');
    try {
      const work = deferred<number>();
      const waiting = within(60_000, work.promise, { ref: false });
      const timer = set.mock.results[0]!.value as NodeJS.Timeout;
      expect(timer.hasRef()).toBe(false);
      work.resolve(2);
      expect(await waiting).toBe(2);
      expect(clear).toHaveBeenCalledWith(timer);
    } finally {
      vi.restoreAllMocks();
    }
  });
});
