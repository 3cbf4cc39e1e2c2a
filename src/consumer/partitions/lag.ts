import type { Cluster, Waiting } from '../../cluster/cluster-api.js';
import { jsonable } from '../../protocol/json.js';
import type { HeldPartition } from './held-partition.js';

/** How far a consumer is behind in one of its partitions. */
export interface PartitionLag {
  /** Name of the stream. */
  readonly stream: string;
  /** Id of the partition. */
  readonly partition: number;
  /** The next offset to be processed. */
  readonly position: bigint;
  /** Offset of the last committed message, -1n when there is none. */
  readonly highWatermark: bigint;
  /** Committed messages from `position` on; some of them may have been removed by retention or compaction. */
  readonly lag: bigint;
}

/** Asks the leader of each partition how far it is. Rejects with a LiftbridgeError. */
export async function lagOf(
  cluster: Cluster,
  partitions: Iterable<HeldPartition>,
  waiting: Waiting,
): Promise<PartitionLag[]> {
  const lags = await Promise.all([...partitions].map((held) => lagOfOne(cluster, held, waiting)));
  return lags
    .filter((lag) => lag !== null)
    .sort((a, b) => (a.stream === b.stream ? a.partition - b.partition : a.stream < b.stream ? -1 : 1));
}

/** Null while the partition is being acquired. */
async function lagOfOne(cluster: Cluster, held: HeldPartition, waiting: Waiting): Promise<PartitionLag | null> {
  if (held.position === null) return null;
  const { stream, partition } = held;
  const { metadata } = await cluster.callLeader(
    'fetchPartitionMetadata',
    stream,
    partition,
    { stream, partition },
    waiting,
  );
  const { position } = held;
  const highWatermark = metadata?.highWatermark ?? -1n;
  const lag = highWatermark + 1n - position;
  return jsonable({ stream, partition, position, highWatermark, lag: lag > 0n ? lag : 0n });
}
