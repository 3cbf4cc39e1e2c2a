import { backoffDelay } from '../async/backoff.js';
import type { Deadline } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import { errorFromStatus, type Operation } from '../errors.js';
import type { Cluster } from './cluster-api.js';
import type { Existence } from './existence.js';
import { aboutRequest } from './failures.js';
import { LookupMiss, unknownYet } from './leader-lookup.js';
import { UNKNOWN_BACKOFF } from './timing.js';
import type { Call } from './unary-caller.js';
import { untilCertain } from './until-certain.js';

/** Resolves when it is certain whether the stream exists; what is found is in the cache. Throws LookupMiss when the time is up. */
export async function waitUntilDecided(
  cluster: Cluster,
  operation: Operation,
  stream: string,
  { signal, remaining: timeout }: Deadline,
): Promise<Existence> {
  const existence = await untilCertain(cluster, { stream }, { signal, timeout });
  if (existence === 'unsure') throw new LookupMiss(unknownYet(operation, `stream "${stream}"`, { stream }));
  return existence;
}

/** The reaction of a call to a broker that does not know its stream or partition; see `Call.unknown`. */
export function whenUnknown(
  cluster: Cluster,
  operation: Operation,
  stream: string,
  request: unknown,
): NonNullable<Call<unknown, unknown>['unknown']> {
  let attempt = 0;
  return async (failure, deadline) => {
    const existence = await waitUntilDecided(cluster, operation, stream, deadline);
    const count = cluster.partitionCount(stream);
    const isBeyond = count > 0 && partitionsOf(request).some((partition) => partition >= count);
    if (existence === 'gone' || isBeyond)
      throw new LookupMiss(errorFromStatus(operation, failure, aboutRequest(request)));
    // Another broker knows it: this one will, too.
    await sleep(backoffDelay(++attempt, UNKNOWN_BACKOFF), deadline.signal);
  };
}

/** The partitions that a request names; those of a cursor are of another stream than the one that keeps it. */
function partitionsOf(request: unknown): readonly number[] {
  const { partition, partitions, cursorId } = request as {
    partition?: number;
    partitions?: readonly number[];
    cursorId?: string;
  };
  if (cursorId !== undefined) return [];
  return partitions ?? (partition === undefined ? [] : [partition]);
}
