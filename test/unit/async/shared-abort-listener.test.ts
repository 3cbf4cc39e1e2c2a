import { describe, expect, it, vi } from 'vitest';
import { onAbort } from '../../../src/async/shared-abort-listener.js';

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
