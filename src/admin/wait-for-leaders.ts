import { backoffDelay } from '../async/backoff.js';
import type { Deadline } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import type { AdminCluster, Waiting } from '../cluster/cluster-api.js';
import { excerpt } from '../errors/quote.js';
import { LiftbridgeError, ServerError, TimeoutError } from '../errors.js';
import { LEADERS_BACKOFF } from './timing.js';

/** Leaders asked at the same time. */
const MAX_CONCURRENT = 16;

/** Resolves when every partition of a new stream has a leader that answers. Rejects with a TimeoutError that names those without. */
export function waitForLeaders(
  cluster: AdminCluster,
  stream: string,
  partitions: number,
  waiting: Waiting,
): Promise<void> {
  const missing = new Map<number, unknown>(Array.from({ length: partitions }, (_, id) => [id, undefined]));
  const late = (timeout: number): Error => notReady(stream, missing, timeout);
  return cluster.bounded(waiting, late, async (deadline) => {
    for (let round = 1; ; round++) {
      await cluster.refresh([stream], { signal: deadline.signal, timeout: deadline.remaining });
      await askLeaders(cluster, stream, missing, deadline);
      if (missing.size === 0) return;
      await sleep(backoffDelay(round, LEADERS_BACKOFF), deadline.signal);
    }
  });
}

async function askLeaders(
  cluster: AdminCluster,
  stream: string,
  missing: Map<number, unknown>,
  deadline: Deadline,
): Promise<void> {
  const queue = [...missing.keys()];
  const worker = async (): Promise<void> => {
    for (let partition = queue.shift(); partition !== undefined; partition = queue.shift()) {
      const failure = await askLeader(cluster, stream, partition, deadline);
      if (failure === null) missing.delete(partition);
      else missing.set(partition, failure);
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_CONCURRENT, queue.length) }, worker));
}

/** Null when the leader answers, the failure otherwise. */
async function askLeader(
  cluster: AdminCluster,
  stream: string,
  partition: number,
  deadline: Deadline,
): Promise<unknown> {
  const { signal, remaining: timeout } = deadline;
  try {
    const { id } = cluster.requireLeader('FetchPartitionMetadata', stream, partition);
    await cluster.callBroker('fetchPartitionMetadata', id, { stream, partition }, { signal, timeout });
    return null;
  } catch (error) {
    signal.throwIfAborted();
    // A caller who may create streams need not be allowed to read them: a refusal is an answer too.
    if (LiftbridgeError.is(error, 'PERMISSION_DENIED')) return null;
    // A server that is too old to know the call has a leader all the same.
    if (error instanceof ServerError && error.status === 'UNIMPLEMENTED') return null;
    return error;
  }
}

function notReady(stream: string, missing: ReadonlyMap<number, unknown>, timeout: number): TimeoutError {
  const ids = [...missing.keys()].slice(0, 10).join(', ');
  const cause = [...missing.values()].find((failure) => failure !== undefined);
  const why = cause instanceof Error ? ` The last answer: ${excerpt(cause.message)}` : '';
  return new TimeoutError(
    `createStream: stream "${stream}" was created, but within ${Math.round(timeout)} ms no leader answered for partition ${ids}.${why}`,
    { stream, operation: 'CreateStream', cause },
  );
}
