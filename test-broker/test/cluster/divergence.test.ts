import { describe, expect, it } from 'vitest';
import { divergence } from '../../src/cluster/divergence.js';
import { LeaderEpochs } from '../../src/log/leader-epochs.js';

/** A log that ends before `next`, with these epochs and their first offsets. */
const log = (next: number, starts: [epoch: number, startOffset: number][], oldestOffset = 0) => ({
  nextOffset: next,
  oldestOffset,
  epochs: new LeaderEpochs(starts.map(([epoch, startOffset]) => ({ epoch, startOffset }))),
});

describe('divergence', () => {
  it('is the end of the shorter log when both have the same epochs', () => {
    expect(divergence(log(3, [[5, 0]]), log(7, [[5, 0]]))).toBe(3);
    expect(divergence(log(7, [[5, 0]]), log(3, [[5, 0]]))).toBe(3);
  });

  it('is the offset where another leader continued', () => {
    const leader = log(9, [
      [5, 0],
      [7, 4],
    ]);
    expect(divergence(log(6, [[5, 0]]), leader)).toBe(4);
    expect(divergence(log(3, [[5, 0]]), leader)).toBe(3);
  });

  it('is before an epoch that only the follower has, also when the leader has an older epoch there', () => {
    expect(
      divergence(
        log(2, [[7, 0]]),
        log(3, [
          [5, 0],
          [9, 2],
        ]),
      ),
    ).toBe(0);
    expect(
      divergence(
        log(5, [
          [5, 0],
          [7, 2],
        ]),
        log(5, [
          [5, 0],
          [9, 4],
        ]),
      ),
    ).toBe(2);
  });

  it('ignores offsets that one of the logs no longer has', () => {
    expect(
      divergence(
        log(
          9,
          [
            [5, 3],
            [7, 6],
          ],
          3,
        ),
        log(12, [
          [2, 0],
          [5, 2],
          [7, 6],
        ]),
      ),
    ).toBe(9);
  });

  it('is 0 for an empty follower', () => {
    expect(divergence(log(0, [], -1), log(4, [[5, 0]]))).toBe(0);
  });
});
