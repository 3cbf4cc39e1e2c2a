import type { BackoffBounds } from '../../src/async/backoff.js';

/** Replaces `src/async/backoff.ts` in a test that expects exact delays: the same delay without its random part. */
export function backoffDelay(failures: number, { first, longest }: BackoffBounds): number {
  return Math.min(longest, first * 2 ** (failures - 1));
}
