import { ConnectionError, NoSuchPartitionError, NoSuchStreamError } from '../errors.js';

/** The error for a stream that the cluster does not know. */
export function noSuchStream(stream: string): NoSuchStreamError {
  const message = `Subscribe to stream "${stream}" failed: the cluster knows no stream of that name. Create it first, or check the name.`;
  return new NoSuchStreamError(message, { stream, operation: 'Subscribe' });
}

/** The error for a partition that the stream does not have. */
export function noSuchPartition(stream: string, partition: number, count: number): NoSuchPartitionError {
  const message = `Subscribe to stream "${stream}", partition ${partition} failed: its partitions are 0 to ${count - 1}.`;
  return new NoSuchPartitionError(message, { stream, partition, operation: 'Subscribe' });
}

/** The error for a partition whose leader is away. */
export function noLeader(stream: string, partition: number, why: string): ConnectionError {
  const message = `Subscription to stream "${stream}", partition ${partition}: ${why}.`;
  return new ConnectionError(message, {
    stream,
    partition,
    operation: 'Subscribe',
    reason: 'no-leader',
    outcome: 'not-sent',
  });
}
