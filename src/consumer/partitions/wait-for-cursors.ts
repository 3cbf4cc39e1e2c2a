import { cursorPartition, untilReadable } from '../../admin/cursor-stream.js';
import { monotonicNow } from '../../async/clock.js';
import { boundsUntil } from '../../async/deadline.js';
import { type Cluster, findStream } from '../../cluster/cluster-api.js';
import { CursorsDisabledError, TimeoutError } from '../../errors.js';
import { CURSORS_STREAM } from '../../options.js';
import { CURSORS_RECOVERY_MS } from '../timing.js';
import type { HeldPartition } from './held-partition.js';

/** Without cursors a group has no positions. A cluster that has just started may not have created the stream yet. */
export async function requireCursors(cluster: Cluster, signal: AbortSignal, timeout: number): Promise<void> {
  const found = await findStream(cluster, CURSORS_STREAM, boundsUntil(monotonicNow() + timeout, signal));
  if (found === 'present') return;
  const context = { operation: 'consumer.subscribe' };
  if (found === 'unsure')
    throw new TimeoutError(
      `consumer.subscribe failed: within ${timeout} ms no broker said whether the server keeps cursors.`,
      context,
    );
  throw new CursorsDisabledError(
    'consumer.subscribe failed: the server keeps no cursors, and so no positions of consumer groups. Set cursors.stream.partitions above 0 on the server, or cursorsPartitions on a test broker.',
    context,
  );
}

/** Waits until the brokers that keep these cursors of the partition show everything that was stored in them. */
export async function waitForCursors(
  cluster: Cluster,
  cursorIds: readonly string[],
  held: HeldPartition,
): Promise<void> {
  const { stream, partition, signal } = held;
  const partitions = cluster.partitionCount(CURSORS_STREAM);
  const homes = new Set(cursorIds.map((id) => cursorPartition(id, stream, partition, partitions)));
  await Promise.all([...homes].map((home) => untilReadable(cluster, home, { signal, timeout: CURSORS_RECOVERY_MS })));
}
