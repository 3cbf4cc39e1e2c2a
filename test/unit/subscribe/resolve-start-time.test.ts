import { describe, expect, it } from 'vitest';
import { ReceivedMessage } from '../../../src/protocol/received-message.js';
import { type ReadFirst, resolveStartTime } from '../../../src/subscribe/resolve-start-time.js';

/** Reads of a log with these offsets, each at ten times its offset; `lost` is a broker whose look-up by time fails. */
function logOf(offsets: readonly number[], lost: boolean): { read: ReadFirst; reads: () => number } {
  let reads = 0;
  const read: ReadFirst = async (start) => {
    reads++;
    if (start.at === 'time' && lost) return null;
    const found = offsets.find((offset) =>
      start.at === 'offset'
        ? BigInt(offset) >= start.offset
        : start.at === 'time' && BigInt(offset) * 10n >= start.time,
    );
    if (found === undefined) return null;
    return Object.assign(new ReceivedMessage(), { offset: BigInt(found), timestamp: BigInt(found) * 10n });
  };
  return { read, reads: () => reads };
}

const dense = Array.from({ length: 1_000 }, (_, n) => n + 200);
const sparse = dense.filter((n) => n % 7 === 0 || n > 1_190);

describe('resolveStartTime', () => {
  it.each([
    ['dense', dense],
    ['sparse', sparse],
  ])(
    'finds the first message at or after a time in a %s log, whether or not the broker does',
    async (_kind, offsets) => {
      const newest = BigInt(offsets.at(-1)!);
      for (const lost of [false, true])
        for (const time of [0n, 2_000n, 2_001n, 5_005n, 9_990n, 11_980n, 11_989n, 11_990n]) {
          const { read, reads } = logOf(offsets, lost);
          const found = await resolveStartTime(read, time, newest);
          const delivered = offsets.find((offset) => BigInt(offset) >= found);
          expect(delivered).toBe(offsets.find((offset) => BigInt(offset) * 10n >= time));
          expect(reads()).toBeLessThan(16);
        }
    },
  );

  it('answers what follows the newest when everything is older, after one read', async () => {
    const { read, reads } = logOf(dense, false);
    expect(await resolveStartTime(read, 11_991n, 1_199n)).toBe(1_200n);
    expect(reads()).toBe(1);
  });

  it('finds the only message of a partition', async () => {
    expect(await resolveStartTime(logOf([0], false).read, 0n, 0n)).toBe(0n);
    expect(await resolveStartTime(logOf([0], true).read, 0n, 0n)).toBe(0n);
  });

  it('continues behind a gap at once', async () => {
    const { read, reads } = logOf([0, 999, 1_000, 1_001], true);
    expect(await resolveStartTime(read, 9_995n, 1_001n)).toBe(1_000n);
    expect(reads()).toBe(5);
  });

  it('answers what follows the newest when nothing is retained', async () => {
    expect(await resolveStartTime(logOf([], false).read, 5n, 41n)).toBe(42n);
    expect(await resolveStartTime(logOf([], false).read, 5n, -1n)).toBe(0n);
  });
});
