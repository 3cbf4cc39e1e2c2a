import { backoffDelay } from '../async/backoff.js';
import { pause } from '../async/sleep.js';
import { type Cluster, untilCertain } from '../cluster/cluster-api.js';
import { LOOKUP_BACKOFF } from './timing.js';

/** The publishes that a stream is looked up for. */
export interface LookupWaiters {
  /** Whether a publish still waits. */
  wanted(): boolean;
  /** The lookup failed and is tried again. */
  failed(error: unknown): void;
  /** Ends the lookup. */
  readonly signal: AbortSignal;
}

/**
 * Looks up a stream until the cluster knows it or it certainly does not exist. While that is not certain, it continues as long
 * as a publish waits.
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

/** Whether a stream that a broker does not know is gone, and not only unknown to a recovering broker. */
export async function streamIsGone(cluster: Cluster, stream: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await untilCertain(cluster, { stream }, { signal })) === 'gone';
  } catch (error) {
    if (!signal.aborted) cluster.logger.debug({ err: error, stream }, 'the check whether the stream exists failed');
    return false;
  }
}
