import { monotonicNow } from '../async/clock.js';
import { boundsUntil } from '../async/deadline.js';
import { type BoundedWaiting, type Cluster, findStream, unknownYet } from '../cluster/cluster-api.js';
import { noSuchPartition, noSuchStream } from './subscribe-errors.js';

/**
 * Resolves when the cache knows the stream, from metadata that is newer than the call where it knew too little. Rejects
 * with NO_SUCH_STREAM once it is certain that there is none, with TIMEOUT while that is not certain.
 */
export async function lookUpStream(cluster: Cluster, stream: string, waiting: BoundedWaiting): Promise<void> {
  const bounds = boundsUntil(monotonicNow() + waiting.timeout, waiting.signal);
  await cluster.refresh([stream], bounds());
  const found = await findStream(cluster, stream, bounds);
  if (found === 'gone') throw noSuchStream(stream);
  if (found === 'unsure') throw unknownYet('Subscribe', `stream "${stream}"`, { stream });
}

/** The same for one partition. Rejects with NO_SUCH_PARTITION where the stream has fewer. */
export async function lookUpPartition(
  cluster: Cluster,
  stream: string,
  partition: number,
  waiting: BoundedWaiting,
): Promise<void> {
  if (cluster.partitionCount(stream) > partition) return;
  await lookUpStream(cluster, stream, waiting);
  const count = cluster.partitionCount(stream);
  if (count <= partition) throw noSuchPartition(stream, partition, count);
}
