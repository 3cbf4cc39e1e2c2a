import { afterEach, describe, expect, it, vi } from 'vitest';
import { backoffDelay, type RetryRules, retryWithBackoff } from '../../../src/async/backoff.js';

afterEach(() => {
  vi.restoreAllMocks();
});

function rules(changes: Partial<RetryRules> = {}): RetryRules {
  const { signal } = new AbortController();
  const backoff = { first: 0, longest: 0 };
  return { attempts: 3, backoff, signal, shouldRetry: () => true, onRetry: () => undefined, ...changes };
}

/** Fails as many times, then succeeds with the number of the attempt. */
function failing(times: number): (number: number) => Promise<number> {
  return async (number) => {
    if (number <= times) throw new Error(`attempt ${number}`);
    return number;
  };
}

describe('backoffDelay', () => {
  it('is between a half and the whole of the doubled delay, and never beyond the longest', () => {
    vi.spyOn(Math, 'random').mockReturnValueOnce(0).mockReturnValue(1);
    const bounds = { first: 100, longest: 1_000 };
    expect(backoffDelay(1, bounds)).toBe(50);
    expect([1, 2, 3, 4, 5, 1e9].map((failures) => backoffDelay(failures, bounds))).toEqual([
      100, 200, 400, 800, 1_000, 1_000,
    ]);
  });
});

describe('retryWithBackoff', () => {
  it('numbers the attempts and tells of each failure before the next one', async () => {
    const told: [number, string][] = [];
    const onRetry: RetryRules['onRetry'] = (failure, number) => told.push([number, (failure as Error).message]);
    expect(await retryWithBackoff(rules({ onRetry }), failing(2))).toBe(3);
    expect(told).toEqual([
      [1, 'attempt 1'],
      [2, 'attempt 2'],
    ]);
  });

  it('rejects with the last failure when attempts run out or another one cannot help', async () => {
    await expect(retryWithBackoff(rules(), failing(9))).rejects.toThrow('attempt 3');
    const shouldRetry = (_: unknown, number: number): boolean => number < 2;
    await expect(retryWithBackoff(rules({ shouldRetry }), failing(9))).rejects.toThrow('attempt 2');
  });

  it('does not count the failures that it is told not to count', async () => {
    expect(await retryWithBackoff(rules({ attempts: 2, counts: () => false }), failing(5))).toBe(6);
  });

  it('ends a wait between two attempts with the reason of the signal', async () => {
    const abort = new AbortController();
    const onRetry = (): void => abort.abort(new Error('enough'));
    const slow = rules({ signal: abort.signal, onRetry, backoff: { first: 60_000, longest: 60_000 } });
    await expect(retryWithBackoff(slow, failing(1))).rejects.toThrow('enough');
  });
});
