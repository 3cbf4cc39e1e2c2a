import { crc32 } from 'node:zlib';
import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { boundsUntil, type Deadline } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import type { BoundedWaiting, BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import { LiftbridgeError, TimeoutError } from '../errors.js';
import { CURSORS_STREAM } from '../options.js';
import { CURSORS_BACKOFF, CURSORS_WRITE_TIMEOUT_MS } from './timing.js';

/** Looks before a write is tried: replicas that fetch show what is committed within that time. */
const LOOKS_BEFORE_WRITE = 4;
/** Looks between two writes where there are replicas, which need no write as a rule. */
const LOOKS_BETWEEN_WRITES = 10;
/** More ids than are needed to find one for each partition of the cursors stream. */
const PROBE_IDS = 10_000;

/**
 * Guards the reading of cursors. A broker that has just started, or has just become the leader, may not know yet which of
 * the cursors in its log are committed: it returns an older offset or none, and continues to do so, since servers cache
 * what they returned. So a partition of the cursors stream is read only when its leader shows everything that was stored
 * in it, which is checked once for each leader and each connection to it.
 */
export class CursorLog {
  readonly #cluster: Cluster;
  /** Partition of the cursors stream to the leader that was checked, and the connection. */
  readonly #checked = new Map<number, { readonly id: string; readonly connection: number }>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * Number of the connection over which the broker may be asked for a cursor in that partition of the cursors stream. Null
   * after it was waited for the leader, which has to be looked up again. Rejects with a LiftbridgeError.
   */
  async admit(
    partition: number,
    broker: BrokerTarget,
    { signal, remaining }: Pick<Deadline, 'signal' | 'remaining'>,
  ): Promise<number | null> {
    const checked = this.#checked.get(partition);
    if (checked?.id === broker.id && checked.connection === this.#cluster.callConnection(broker))
      return checked.connection;
    await untilReadable(this.#cluster, partition, { signal, timeout: remaining });
    const leader = this.#cluster.leader(CURSORS_STREAM, partition);
    const connection = leader === null ? null : this.#cluster.callConnection(leader);
    if (leader !== null && connection !== null) this.#checked.set(partition, { id: leader.id, connection });
    return null;
  }
}

/**
 * Waits until the leader of a partition of the cursors stream shows everything that was stored in it before. A leader
 * without replicas learns what is committed with the next write only, so a cursor of no meaning is written then. Rejects
 * with a TimeoutError when the time is up, or with another LiftbridgeError.
 */
export async function untilReadable(
  cluster: Cluster,
  partition: number,
  { signal, timeout }: BoundedWaiting,
): Promise<void> {
  const deadline = monotonicNow() + timeout;
  const left = boundsUntil(deadline, signal);
  let newest: bigint | null = null;
  for (let look = 1; ; look++) {
    const state = await stateOf(cluster, partition, left());
    if (state === undefined) return;
    newest ??= state.newestOffset;
    if (state.highWatermark >= newest) return;
    if (monotonicNow() >= deadline) throw recovering(partition, timeout);
    if (
      isTimeToWrite(look, cluster.isr(CURSORS_STREAM, partition).length) &&
      !(await written(cluster, partition, left()))
    )
      return;
    await sleep(left(backoffDelay(look, CURSORS_BACKOFF)).timeout, signal);
  }
}

/** The partition of the cursors stream that holds a cursor: CRC-32 of `id,stream,partition`, as the server computes it. */
export function cursorPartition(cursorId: string, stream: string, partition: number, partitions: number): number {
  return crc32(`${cursorId},${stream},${partition}`) % partitions;
}

/** An id for cursors of no meaning in that partition of the cursors stream; stored under the stream itself. */
export function probeId(partition: number, partitions: number): string {
  for (let n = 0; n < PROBE_IDS; n++) {
    const id = `__probe:${n}`;
    if (cursorPartition(id, CURSORS_STREAM, 0, partitions) === partition) return id;
  }
  throw new RangeError(`no cursor id was found for partition ${partition} of ${partitions}`);
}

function isTimeToWrite(look: number, replicas: number): boolean {
  if (look < LOOKS_BEFORE_WRITE) return false;
  return replicas <= 1 || look % LOOKS_BETWEEN_WRITES === 0;
}

/** False when this client may not write: nothing more can be learned then. */
async function written(cluster: Cluster, partition: number, waiting: BoundedWaiting): Promise<boolean> {
  const cursorId = probeId(partition, cluster.partitionCount(CURSORS_STREAM));
  const request = { cursorId, stream: CURSORS_STREAM, partition: 0, offset: 0n };
  const timeout = Math.min(CURSORS_WRITE_TIMEOUT_MS, waiting.timeout);
  try {
    await cluster.callLeader('setCursor', CURSORS_STREAM, partition, request, { signal: waiting.signal, timeout });
  } catch (error) {
    waiting.signal?.throwIfAborted();
    if (LiftbridgeError.is(error, 'PERMISSION_DENIED')) return false;
    if (!LiftbridgeError.is(error) || !error.retryable) throw error;
  }
  return true;
}

/** Undefined for a partition that is paused: reading a cursor resumes it. */
async function stateOf(cluster: Cluster, partition: number, waiting: BoundedWaiting) {
  const request = { stream: CURSORS_STREAM, partition };
  try {
    return (await cluster.callLeader('fetchPartitionMetadata', CURSORS_STREAM, partition, request, waiting)).metadata;
  } catch (error) {
    if (LiftbridgeError.is(error, 'PARTITION_PAUSED')) return undefined;
    throw error;
  }
}

function recovering(partition: number, timeout: number): TimeoutError {
  const text = `FetchCursor failed: within ${Math.round(timeout)} ms the leader of the cursors did not show everything that was stored in them. It is recovering: try again, or raise the timeout.`;
  return new TimeoutError(text, { operation: 'FetchCursor', stream: CURSORS_STREAM, partition });
}
