import { monotonicNow } from '../async/clock.js';
import { ServerError, TimeoutError } from '../errors.js';
import {
  arrayOf,
  CALL_SHAPE,
  type CallOptions,
  checkOptions,
  checkValue,
  identifier,
  partitionId,
  type Shape,
  streamName,
} from '../options.js';
import type { Metadata, PartitionInfo } from './metadata.js';
import { toPartitionInfo } from './metadata-reader.js';
import type { Router } from './router.js';

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

/** Every broker answers it briefly, whether it knows the stream or not. */
const BRIEF = { streams: ['__cursors'], groups: [] };

/** Asks for metadata and answers just what was asked for. */
export async function fetchMetadata(router: Router, options: FetchMetadataOptions): Promise<Metadata> {
  checkOptions('fetchMetadata', options, FETCH_SHAPE);
  const { updatedAt, brokers, streams, groups } = await router.fetch(
    options.streams ?? [],
    options.groups ?? [],
    options,
  );
  return Object.freeze({ updatedAt, brokers, streams, groups });
}

/** Asks the leader of a partition for its exact state. */
export async function fetchPartitionMetadata(
  router: Router,
  stream: string,
  partition: number,
  options: CallOptions,
): Promise<PartitionInfo> {
  const where = 'fetchPartitionMetadata';
  checkValue(where, 'stream', stream, streamName);
  checkValue(where, 'partition', partition, partitionId);
  checkOptions(where, options, CALL_SHAPE);
  const { metadata } = await router.callLeader(where, stream, partition, { stream, partition }, options);
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
  return toPartitionInfo(metadata, router.metadata.brokers);
}

/** Milliseconds that a real call to some broker and back takes. */
export async function ping(router: Router, options: CallOptions): Promise<number> {
  checkOptions('ping', options, CALL_SHAPE);
  const started = monotonicNow();
  await router.callAny('fetchMetadata', BRIEF, options);
  return monotonicNow() - started;
}

/** Waits for `flush` within the caller's bounds. */
export function flushed(router: Router, options: CallOptions, flush: () => Promise<void>): Promise<void> {
  const late = (timeout: number): Error =>
    new TimeoutError(`flush failed: publishes are still in flight after ${timeout} ms.`, { operation: 'flush' });
  return router.bounded(options, late, flush);
}
