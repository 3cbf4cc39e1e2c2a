import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Outlook } from '../../../src/subscribe/partition-view.js';
import { planRead, type SubscribeOptions } from '../../../src/subscribe/positions.js';
import { RangeOutlook } from '../../../src/subscribe/range-outlook.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now }));
beforeEach(() => {
  clock.now = 1_000;
});

const { signal } = new AbortController();
const UNCOMMITTED = { newest: 9n, committed: 4n, inSync: 1 };

/** An outlook whose view returns these answers in turn, the last one for all later probes. */
function outlook(options: SubscribeOptions, answers: (Outlook | null)[] | (boolean | null)[]) {
  const asked: unknown[][] = [];
  const answer = async (...args: unknown[]) => {
    asked.push(args);
    return answers.length > 1 ? answers.shift() : answers[0];
  };
  const view = options.reverse === true ? { knowsReverse: answer } : { outlook: answer };
  const range = new RangeOutlook(view as never, planRead(options));
  return { asked, isOver: () => range.isOver(5n, 9n, signal) };
}

const times = async (count: number, isOver: () => Promise<boolean>): Promise<boolean[]> => {
  const results: boolean[] = [];
  for (let n = 0; n < count; n++) results.push(await isOver());
  return results;
};

describe('RangeOutlook of a forward read', () => {
  it('is over when nothing is left, and not while more comes', async () => {
    const { asked, isOver } = outlook({}, ['more', 'nothing']);
    expect(await times(2, isOver)).toEqual([false, true]);
    expect(asked[0]).toEqual([5n, 9n, signal]);
  });

  it('is over after three unanswered probes in a row', async () => {
    expect(await times(3, outlook({}, [null]).isOver)).toEqual([false, false, true]);
    const interrupted = outlook({}, [null, null, 'more', null]);
    expect(await times(6, interrupted.isOver)).toEqual([false, false, false, false, false, true]);
  });

  it.each([
    ['a leader without followers', 1, 500],
    ['a leader with followers', 2, 12_000],
  ])('is over when the high watermark of %s has not moved for long', async (_what, inSync, patience) => {
    const { isOver } = outlook({ stopAt: 'latest' }, [{ uncommitted: { ...UNCOMMITTED, inSync } }]);
    expect(await isOver()).toBe(false);
    clock.now += patience - 1;
    expect(await isOver()).toBe(false);
    clock.now += 1;
    expect(await isOver()).toBe(true);
  });

  it('waits again when the high watermark has moved, or the range had more in between', async () => {
    const stalled = (committed: bigint): Outlook => ({ uncommitted: { ...UNCOMMITTED, committed } });
    const moved = outlook({ stopAt: 'latest' }, [stalled(3n), stalled(4n)]);
    await moved.isOver();
    clock.now += 500;
    expect(await moved.isOver()).toBe(false);
    clock.now += 500;
    expect(await moved.isOver()).toBe(true);
    const between = outlook({ stopAt: 'latest' }, [stalled(4n), 'more', stalled(4n)]);
    await times(2, between.isOver);
    clock.now += 500;
    expect(await between.isOver()).toBe(false);
  });

  it('waits without end for an offset that the caller has named', async () => {
    const { isOver } = outlook({ stopAt: { offset: 9 } }, [{ uncommitted: UNCOMMITTED }]);
    await isOver();
    clock.now += 60_000;
    expect(await isOver()).toBe(false);
  });
});

describe('RangeOutlook of a reverse read', () => {
  it('is over when the server does not read in reverse', async () => {
    const { asked, isOver } = outlook({ reverse: true }, [true, false]);
    expect(await times(2, isOver)).toEqual([false, true]);
    expect(asked[0]).toEqual([5n, signal]);
  });

  it('is over after three unanswered probes in a row', async () => {
    expect(await times(3, outlook({ reverse: true }, [null]).isOver)).toEqual([false, false, true]);
  });
});
