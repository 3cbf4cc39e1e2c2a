import { monotonicNow } from '../async/clock.js';
import { type Cluster, unknownYet, untilCertain, type Waiting } from '../cluster/cluster-api.js';
import { boundsUntil } from './step-bounds.js';
import { noSuchPartition, noSuchStream } from './subscribe-errors.js';

/** What bounds a look-up. */
type Bound = Waiting & { readonly timeout: number };

/**
 * Resolves when the cache knows the stream, from metadata that is newer than the call where it knew too little. Rejects
 * with NO_SUCH_STREAM once it is certain that there is none, with TIMEOUT while that is not certain.
 */
export async function lookUpStream(cluster: Cluster, stream: string, waiting: Bound): Promise<void> {
  const { signal, timeout } = waiting;
  const bounded = boundsUntil(monotonicNow() + timeout, signal);
  await cluster.refresh([stream], bounded());
  while (cluster.partitionCount(stream) === 0) {
    const existence = await untilCertain(cluster, { stream }, bounded());
    if (existence === 'gone') throw noSuchStream(stream);
    if (existence === 'unsure') throw unknownYet('Subscribe', `stream "${stream}"`, { stream });
    // Another answer may have replaced what was found.
    if (cluster.partitionCount(stream) === 0) await cluster.refresh([stream], bounded());
  }
}

/** The same for one partition. Rejects with NO_SUCH_PARTITION where the stream has fewer. */
export async function lookUpPartition(
  cluster: Cluster,
  stream: string,
  partition: number,
  waiting: Bound,
): Promise<void> {
  if (cluster.partitionCount(stream) > partition) return;
  await lookUpStream(cluster, stream, waiting);
  const count = cluster.partitionCount(stream);
  if (count <= partition) throw noSuchPartition(stream, partition, count);
}
