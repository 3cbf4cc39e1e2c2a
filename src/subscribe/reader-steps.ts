import { monotonicNow } from '../async/clock.js';
import { sleep } from '../async/sleep.js';
import type { Waiting } from '../cluster/contract.js';
import { LiftbridgeError } from '../errors.js';

/** The bounds of one step, within those of the whole. */
export type Bounded = (atMost?: number) => Waiting & { readonly timeout: number };

/** Bounds of steps that must be over by `deadline`, as of `monotonicNow()`. */
export function boundsUntil(deadline: number, signal: AbortSignal | undefined): Bounded {
  return (atMost = Number.POSITIVE_INFINITY) => ({
    signal,
    timeout: Math.max(1, Math.min(atMost, deadline - monotonicNow())),
  });
}

/** Waits; rejects with the reason of the signal. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, signal);
}

/** Whether the cluster knows the stream, or the partition, no more. */
export function isGone(error: unknown): boolean {
  return LiftbridgeError.is(error, 'NO_SUCH_PARTITION') || LiftbridgeError.is(error, 'NO_SUCH_STREAM');
}
