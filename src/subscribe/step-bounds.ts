import { monotonicNow } from '../async/clock.js';
import type { Waiting } from '../async/deadline.js';

/** The bounds of one step, within those of the whole. */
export type StepBounds = (atMost?: number) => Waiting & { readonly timeout: number };

/** Bounds of steps that must be over by `deadline`, as of `monotonicNow()`. */
export function boundsUntil(deadline: number, signal: AbortSignal | undefined): StepBounds {
  return (atMost = Number.POSITIVE_INFINITY) => ({
    signal,
    timeout: Math.max(1, Math.min(atMost, deadline - monotonicNow())),
  });
}
