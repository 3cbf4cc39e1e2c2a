import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import type { StepBounds, Waiting } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import type { Existence } from './existence.js';
import type { Sought } from './metadata-answer.js';
import { UNKNOWN_BACKOFF } from './timing.js';

/** The part of a cluster that decides what exists. */
interface Decider {
  existence(sought: Sought, waiting?: Waiting): Promise<Existence>;
}

/** The part of a cluster that finds a stream. */
interface Finder extends Decider {
  partitionCount(stream: string): number;
  refresh(streams: readonly string[], waiting?: Waiting): Promise<void>;
}

/** Asks again, with growing pauses, until the answer is certain or the time is up. Rejects with the reason of the signal. */
export async function untilCertain(
  cluster: Decider,
  sought: Sought,
  { signal, timeout = Number.POSITIVE_INFINITY }: Waiting = {},
): Promise<Existence> {
  const deadline = monotonicNow() + timeout;
  for (let attempt = 1; ; attempt++) {
    const delay = backoffDelay(attempt, UNKNOWN_BACKOFF);
    const left = deadline - monotonicNow();
    const existence = await cluster.existence(sought, { signal, timeout: Number.isFinite(left) ? left : undefined });
    if (existence !== 'unsure' || monotonicNow() + delay >= deadline) return existence;
    await sleep(delay, signal);
  }
}

/**
 * Finds a stream that the cache may not know. 'present': the cache knows it, with its partitions. 'unsure' when the time is
 * up. Rejects as `refresh` does, or with the reason of the signal.
 */
export async function findStream(
  cluster: Finder,
  stream: string,
  bounds: StepBounds,
): Promise<'present' | 'gone' | 'unsure'> {
  while (cluster.partitionCount(stream) === 0) {
    const existence = await untilCertain(cluster, { stream }, bounds());
    if (existence === 'gone' || existence === 'unsure') return existence;
    // Another answer may have replaced what was found.
    if (cluster.partitionCount(stream) === 0) await cluster.refresh([stream], bounds());
  }
  return 'present';
}

/** Whether the stream that was asked about exists no longer, although another one may have its name. */
export function hasEnded(existence: Existence): boolean {
  return existence === 'gone' || existence === 'replaced';
}
