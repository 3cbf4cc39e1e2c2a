import { sleep } from '../async/timers.js';
import type { Cluster } from '../cluster/contract.js';

/** A stream that so many fresh looks in a row do not find is unknown: one broker may lag behind the others. */
const MISSES = 5;
const PAUSE = 50;
const LONGEST_PAUSE = 1_000;

/** For whom a stream is looked up. */
export interface LookupWaiters {
  /** Whether anybody still waits. */
  wanted(): boolean;
  /** No broker answered; it will be tried again. */
  failed(error: unknown): void;
  /** Ends the look-up. */
  readonly signal: AbortSignal;
}

/**
 * Looks a stream up until the cluster knows it or has said often enough that it does not. While no broker answers it
 * goes on for as long as anybody waits.
 */
export async function lookUpStream(cluster: Cluster, stream: string, waiters: LookupWaiters): Promise<void> {
  const { signal } = waiters;
  let misses = 0;
  let pause = PAUSE;
  while (waiters.wanted() && !signal.aborted) {
    try {
      await cluster.refresh([stream], { signal });
      if (cluster.partitionCount(stream) > 0 || ++misses >= MISSES) return;
      pause = PAUSE;
    } catch (error) {
      waiters.failed(error);
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    }
    // An abort ends the pause early; the loop looks at the signal itself.
    await sleep(pause, signal).catch(() => undefined);
  }
}
