import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { boundsUntil } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import {
  type AdminCluster,
  BRIEF_REQUEST,
  type Metadata,
  metadataOf,
  type PartitionInfo,
  type Sought,
  unknownYet,
  untilCertain,
  type Waiting,
} from '../cluster/cluster-api.js';
import { ServerError, TimeoutError } from '../errors.js';
import {
  arrayOf,
  CALL_SHAPE,
  type CallOptions,
  checkValue,
  identifier,
  partitionId,
  readOptions,
  type Shape,
  streamName,
} from '../options.js';
import { METADATA_BACKOFF } from './timing.js';

/** Options of `fetchMetadata`. */
export interface FetchMetadataOptions extends CallOptions {
  /** Names of the streams to ask for. Default: all of them. go-liftbridge: `FetchMetadata(Streams)`. */
  readonly streams?: readonly string[] | undefined;
  /** Ids of the consumer groups to ask for. Default: none. go-liftbridge: `ConsumerGroups`. */
  readonly groups?: readonly string[] | undefined;
}

const FETCH_SHAPE = {
  ...CALL_SHAPE,
  streams: arrayOf(streamName),
  groups: arrayOf(identifier),
} satisfies Shape<FetchMetadataOptions>;

/**
 * Fetches metadata and returns exactly what was asked for. An answer without a stream or group that this client has seen
 * counts only when it is certain that it is gone: it asks again until then, or until the time is up.
 */
export async function fetchMetadata(cluster: AdminCluster, given: FetchMetadataOptions): Promise<Metadata> {
  const options = readOptions<FetchMetadataOptions>('fetchMetadata', given, FETCH_SHAPE);
  const { streams: named = [], groups: ids = [], signal } = options;
  const deadline = monotonicNow() + (options.timeout ?? cluster.options.requestTimeout);
  const left = boundsUntil(deadline, signal);
  for (let round = 1; ; round++) {
    const answer = metadataOf(await cluster.fetch(named, ids, left()));
    const isCertain = await Promise.all(
      missingFrom(cluster, answer, named, ids).map((sought) => isGone(cluster, sought, left())),
    );
    if (isCertain.every(Boolean)) return answer;
    await sleep(left(backoffDelay(round, METADATA_BACKOFF)).timeout, signal);
  }
}

/** Streams and groups that the client has seen and the answer does not name. For all streams one is enough: a broker that knows none has just started. */
function missingFrom(
  cluster: AdminCluster,
  { streams, groups }: Metadata,
  named: readonly string[],
  ids: readonly string[],
): readonly Sought[] {
  const known = cluster.metadata.streams.keys().next().value;
  const missing: Sought[] = [
    ...(named.length > 0 || known === undefined || streams.size > 0 ? named : [known])
      .filter((name) => !streams.has(name))
      .map((stream) => ({ stream })),
    ...ids.filter((id) => !groups.has(id)).map((group) => ({ group })),
  ];
  return missing.filter((sought) => cluster.hasSeen(sought));
}

/** Whether it is certain that it is gone. Rejects with TIMEOUT when the time is up. */
async function isGone(cluster: AdminCluster, sought: Sought, waiting: Waiting): Promise<boolean> {
  const existence = await untilCertain(cluster, sought, waiting);
  if (existence !== 'unsure') return existence === 'gone';
  const what = 'stream' in sought ? `stream "${sought.stream}"` : `consumer group "${sought.group}"`;
  throw unknownYet('FetchMetadata', what, 'stream' in sought ? { stream: sought.stream } : {});
}

/** Asks the leader of a partition for its exact state. */
export async function fetchPartitionMetadata(
  cluster: AdminCluster,
  stream: string,
  partition: number,
  given: CallOptions,
): Promise<PartitionInfo> {
  const where = 'fetchPartitionMetadata';
  checkValue(where, 'stream', stream, streamName);
  checkValue(where, 'partition', partition, partitionId);
  const options = readOptions<CallOptions>(where, given, CALL_SHAPE);
  const { metadata } = await cluster.callLeader(where, stream, partition, { stream, partition }, options);
  if (metadata === undefined)
    throw new ServerError(
      `FetchPartitionMetadata of stream "${stream}", partition ${partition}: the answer is empty.`,
      {
        operation: 'FetchPartitionMetadata',
        stream,
        partition,
        status: 'OK',
        text: '',
      },
    );
  return cluster.readPartition(metadata);
}

/** Milliseconds that a real call to some broker and back takes. */
export async function ping(cluster: AdminCluster, given: CallOptions): Promise<number> {
  const options = readOptions<CallOptions>('ping', given, CALL_SHAPE);
  const started = monotonicNow();
  await cluster.callAny('fetchMetadata', { streams: [...BRIEF_REQUEST], groups: [] }, options);
  return monotonicNow() - started;
}

/** Waits for `flush` within the caller's bounds. */
export function flushed(cluster: AdminCluster, options: CallOptions, flush: () => Promise<void>): Promise<void> {
  const late = (timeout: number): Error =>
    new TimeoutError(`flush failed: publishes are still in flight after ${timeout} ms.`, { operation: 'flush' });
  return cluster.bounded(options, late, flush);
}
