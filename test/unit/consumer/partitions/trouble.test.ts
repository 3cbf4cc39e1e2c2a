import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Trouble } from '../../../../src/consumer/partitions/trouble.js';
import { ConnectionError, PartitionPausedError } from '../../../../src/errors.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now }));

const lost = new ConnectionError('lost', { reason: 'lost' });

describe('the trouble of a partition', () => {
  beforeEach(() => {
    clock.now = 0;
  });

  it('is reported once it has lasted, and again each time it has lasted as long', () => {
    const report = vi.fn();
    const trouble = new Trouble(30_000, report);
    for (; clock.now < 65_000; clock.now += 5_000) trouble.note(lost);
    expect(report.mock.calls).toEqual([[lost], [lost]]);
    expect(trouble.error).toBe(lost);
  });

  it('begins again once the partition was read', () => {
    const report = vi.fn();
    const trouble = new Trouble(30_000, report);
    trouble.note(lost);
    trouble.clear();
    clock.now = 40_000;
    trouble.note(lost);
    expect(report).not.toHaveBeenCalled();
  });

  it('is reported at once when its reader has tried for as long', () => {
    const report = vi.fn();
    new Trouble(30_000, report).note(lost, true);
    expect(report).toHaveBeenCalledTimes(1);
  });

  it('is none while the partition is paused', () => {
    const report = vi.fn();
    const trouble = new Trouble(0, report);
    trouble.note(new PartitionPausedError('paused'), true);
    expect(report).not.toHaveBeenCalled();
    expect(trouble.error).toBeNull();
  });
});
