import type { Cluster } from '../cluster/contract.js';
import { cursorPartition } from '../cluster/cursors.js';
import { untilCertain } from '../cluster/existence.js';
import { CursorsDisabledError, LiftbridgeError, TimeoutError } from '../errors.js';
import type { HeldPartition } from './held-partition.js';
import { backoff, pause } from './pauses.js';

const CURSORS = '__cursors';
/** Looks before cursors are read as they are. */
const LOOKS = 12;
const LONGEST_PAUSE = 200;
/** Replicas catch up within the looks before. */
const NUDGE_AT = 4;

/** Without cursors a group has no positions. A cluster that has just started may not have created the stream yet. */
export async function requireCursors(cluster: Cluster, signal: AbortSignal, timeout: number): Promise<void> {
  if (cluster.partitionCount(CURSORS) > 0) return;
  const existence = await untilCertain(cluster, { stream: CURSORS }, { signal, timeout });
  if (existence !== 'gone' && cluster.partitionCount(CURSORS) > 0) return;
  const context = { operation: 'consumer.subscribe' };
  if (existence === 'unsure')
    throw new TimeoutError(
      `consumer.subscribe failed: within ${timeout} ms no broker said whether the server keeps cursors.`,
      context,
    );
  throw new CursorsDisabledError(
    'consumer.subscribe failed: the server keeps no cursors, and so no positions of consumer groups. Set cursors.stream.partitions above 0 on the server, or cursorsPartitions on a test broker.',
    context,
  );
}

/**
 * Waits until the brokers that keep these cursors show everything that was stored in them. A broker that has just taken
 * over may not know yet what is committed: it would answer with an older offset or with none, and go on doing so, since
 * servers remember what they have answered. One without replicas learns it with the next write alone, so `nudge` is to
 * write something to the same partitions.
 */
export async function caughtUp(
  cluster: Cluster,
  cursorIds: readonly string[],
  held: HeldPartition,
  nudge: () => Promise<unknown>,
): Promise<void> {
  const partitions = cluster.partitionCount(CURSORS);
  const homes = new Set(cursorIds.map((id) => cursorPartition(id, held.stream, held.partition, partitions)));
  await Promise.all([...homes].map((home) => partitionCaughtUp(cluster, home, held.signal, nudge)));
}

async function partitionCaughtUp(
  cluster: Cluster,
  partition: number,
  signal: AbortSignal,
  nudge: () => Promise<unknown>,
): Promise<void> {
  let newest: bigint | null = null;
  for (let look = 1; look <= LOOKS; look++) {
    const metadata = await stateOf(cluster, partition, signal);
    if (metadata === undefined) return;
    newest ??= metadata.newestOffset;
    if (metadata.highWatermark >= newest) return;
    if (look === NUDGE_AT) await nudge();
    await pause(backoff(look, 5, LONGEST_PAUSE), signal);
    signal.throwIfAborted();
  }
}

/** Undefined for a partition that is paused: reading a cursor resumes it. */
async function stateOf(cluster: Cluster, partition: number, signal: AbortSignal) {
  const request = { stream: CURSORS, partition };
  try {
    return (await cluster.callLeader('fetchPartitionMetadata', CURSORS, partition, request, { signal })).metadata;
  } catch (error) {
    if (LiftbridgeError.is(error, 'PARTITION_PAUSED')) return undefined;
    throw error;
  }
}
