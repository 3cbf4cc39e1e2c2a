import {
  ConnectionError,
  type ErrorContext,
  type LiftbridgeError,
  NoSuchPartitionError,
  NoSuchStreamError,
  type Operation,
  PartitionPausedError,
  statusMeaning,
  TimeoutError,
} from '../errors.js';
import { RpcFailure } from '../transport/status.js';
import type { BrokerInfo, Metadata } from './metadata.js';

/** The cached metadata does not say where a call should go; a newer one may. */
export class LookupMiss extends Error {
  override readonly name = 'LookupMiss';

  /** `error` is what the call rejects with when looking again does not help. */
  constructor(readonly error: LiftbridgeError) {
    super(error.message);
  }
}

/** The error for something ('stream "orders"') that no broker knew in time, where it is not certain that it does not exist. */
export function unknownYet(attempted: string, what: string, context: ErrorContext): TimeoutError {
  const message = `${attempted} failed: no broker knew ${what} in time, and brokers that have just started may not know it yet. Try again.`;
  return new TimeoutError(message, { operation: attempted, ...context });
}

/** The leader of a partition. Throws LookupMiss when the stream, the partition or a leader is not known. */
export function leaderIn(metadata: Metadata, operation: Operation, stream: string, partition: number): BrokerInfo {
  const context = { operation, stream, partition };
  const info = metadata.streams.get(stream);
  if (info === undefined) {
    const text = `${operation} failed: the cluster knows no stream "${stream}". Check the name, or create it first.`;
    throw new LookupMiss(new NoSuchStreamError(text, context));
  }
  const found = info.partitions.get(partition);
  if (found === undefined) {
    const text = `${operation} failed: stream "${stream}" has ${info.partitions.size} partitions and no partition ${partition}.`;
    throw new LookupMiss(new NoSuchPartitionError(text, context));
  }
  if (found.leader === null) {
    const text = `${operation} failed: partition ${partition} of stream "${stream}" has no known leader. Try again in a moment.`;
    throw new LookupMiss(new ConnectionError(text, { ...context, reason: 'no-leader', outcome: 'not-sent' }));
  }
  return found.leader;
}

/**
 * Throws LookupMiss when the leader itself has refused to be the leader although the newest metadata names it: that is
 * what a paused partition looks like. The paused flag alone says little, the server leaves it on once it was resumed.
 */
export function refusePaused(
  metadata: Metadata,
  operation: Operation,
  stream: string,
  partition: number,
  refusal: unknown,
): void {
  if (operation !== 'FetchPartitionMetadata' || !(refusal instanceof RpcFailure)) return;
  if (statusMeaning(operation, refusal) !== 'not-leader') return;
  if (metadata.streams.get(stream)?.partitions.get(partition)?.paused !== true) return;
  const text = `${operation} failed: partition ${partition} of stream "${stream}" is paused, so no broker leads it. Publish to it to resume it.`;
  throw new LookupMiss(new PartitionPausedError(text, { operation, stream, partition, cause: refusal }));
}
