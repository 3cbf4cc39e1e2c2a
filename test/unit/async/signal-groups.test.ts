import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { SignalGroups } from '../../../src/async/signal-groups.js';

describe('SignalGroups', () => {
  it('ends all that share a signal in one call, without those that were taken off', () => {
    const calls: [readonly string[], unknown][] = [];
    const groups = new SignalGroups<string>((entries, reason) => calls.push([entries, reason]));
    const [one, other] = [new AbortController(), new AbortController()];
    for (const entry of ['a', 'b', 'c']) groups.add(one.signal, entry);
    groups.add(other.signal, 'd');
    groups.delete(one.signal, 'b');
    const reason = new Error('enough');
    one.abort(reason);
    expect(calls).toEqual([[['a', 'c'], reason]]);
    groups.delete(one.signal, 'a');
    other.abort(reason);
    expect(calls.slice(1)).toEqual([[['d'], reason]]);
  });

  it('leaves no listener on a signal that has no entries left', () => {
    const groups = new SignalGroups<string>(() => expect.unreachable());
    const { signal } = new AbortController();
    groups.add(signal, 'a');
    groups.add(signal, 'b');
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    groups.delete(signal, 'a');
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    groups.delete(signal, 'b');
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
