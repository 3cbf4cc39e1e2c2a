import {
  ConnectionError,
  type LiftbridgeError,
  NoSuchPartitionError,
  NoSuchStreamError,
  type Operation,
} from '../errors.js';
import type { BrokerInfo, Metadata } from './metadata.js';

/** The cached metadata does not say where a call should go; a newer one may. */
export class LookupMiss extends Error {
  override readonly name = 'LookupMiss';

  /** `error` is what the call rejects with when looking again does not help. */
  constructor(readonly error: LiftbridgeError) {
    super(error.message);
  }
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
