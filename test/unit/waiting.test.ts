import { describe, expect, it, vi } from 'vitest';
import { onAbort } from '../../src/cluster/abort-fan.js';
import { Deadline, whileNotAborted, withDeadline } from '../../src/cluster/waiting.js';
import { ClosedError, TimeoutError } from '../../src/errors.js';

vi.mock('../../src/async/timers.js', () => import('../support/global-timers.js'));
vi.mock('../../src/async/clock.js', () => import('../support/global-timers.js'));

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

describe('whileNotAborted', () => {
  it('passes results and errors through and takes its listener off', async () => {
    const signal = open();
    const remove = vi.spyOn(signal, 'removeEventListener');
    expect(await whileNotAborted(Promise.resolve(1), signal)).toBe(1);
    await expect(whileNotAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
    expect(remove).toHaveBeenCalledTimes(2);
  });

  it('leaves no unhandled rejection when the work fails after the abort', async () => {
    const controller = new AbortController();
    let fail: (error: Error) => void = () => undefined;
    const waiting = whileNotAborted(new Promise((_, reject) => (fail = reject)), controller.signal);
    controller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    fail(new Error('later'));
  });
});

describe('onAbort', () => {
  it('has one listener on a signal, however many wait for it', () => {
    const controller = new AbortController();
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const called: number[] = [];
    const undo = Array.from({ length: 50 }, (_, i) => onAbort(controller.signal, () => called.push(i)));
    undo[3]!();
    undo[3]!();
    controller.abort();
    expect(called).toHaveLength(49);
    expect(called).not.toContain(3);
    expect(add).toHaveBeenCalledTimes(1);
    for (const back of undo) back();
    expect(remove).not.toHaveBeenCalled();
  });

  it('takes its listener off with the last who waits, and puts it on again for the next', () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const callback = vi.fn();
    const [one, two] = [onAbort(controller.signal, callback), onAbort(controller.signal, callback)];
    one();
    expect(remove).not.toHaveBeenCalled();
    two();
    expect(remove).toHaveBeenCalledTimes(1);
    onAbort(controller.signal, callback);
    controller.abort();
    expect(callback).toHaveBeenCalledTimes(1);
  });
});
