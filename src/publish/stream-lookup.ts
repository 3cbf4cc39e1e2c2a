import { backoffDelay } from '../async/backoff.js';
import { pause } from '../async/sleep.js';
import { type Cluster, untilCertain } from '../cluster/cluster-api.js';
import { LOOKUP_BACKOFF } from './timing.js';

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
 * Looks a stream up until the cluster knows it, or it certainly does not exist. While that is not certain it goes on for as
 * long as anybody waits.
 */
export async function lookUpStream(cluster: Cluster, stream: string, waiters: LookupWaiters): Promise<void> {
  const { signal } = waiters;
  let failures = 0;
  while (waiters.wanted() && !signal.aborted) {
    try {
      await cluster.refresh([stream], { signal });
      if (cluster.partitionCount(stream) > 0) return;
      if ((await cluster.existence({ stream }, { signal })) === 'gone' || cluster.partitionCount(stream) > 0) return;
      failures = 0;
    } catch (error) {
      waiters.failed(error);
      failures++;
    }
    await pause(backoffDelay(failures + 1, LOOKUP_BACKOFF), signal);
  }
}

/** Whether a stream that a broker called unknown is gone, and not only unknown to a broker that recovers. */
export async function streamIsGone(cluster: Cluster, stream: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await untilCertain(cluster, { stream }, { signal })) === 'gone';
  } catch (error) {
    if (!signal.aborted) cluster.logger.debug({ error, stream }, 'it is not known whether the stream exists');
    return false;
  }
}
