import { wire } from 'liftbridge-client/protocol';
import type { BrokerNode, PartitionState, StreamState } from '../cluster/contract.js';
import type { StatusName } from '../grpc/status.js';
import { isOverlong } from './published-message.js';

/** The reason why a publish is refused before it reaches NATS, for a unary call and for a PublishAsync stream. */
export interface Refusal {
  readonly status: StatusName;
  readonly code: wire.PublishAsyncError_Code;
  readonly message: string;
}

/** The stream and partition of a publish. */
export interface PublishTarget {
  readonly stream: StreamState;
  readonly partition: PartitionState;
}

const { BAD_REQUEST, NOT_FOUND, READONLY } = wire.PublishAsyncError_Code;

const WITHOUT_ACK: Refusal = Object.freeze({
  status: 'INVALID_ARGUMENT',
  code: BAD_REQUEST,
  message: 'stream with concurrency control must have AckPolicy set',
});

/** Such a header crashes a real server. */
export const OVERLONG_HEADER: Refusal = Object.freeze({
  status: 'INVALID_ARGUMENT',
  code: BAD_REQUEST,
  message: 'header name is longer than 32767 bytes',
});

export function noSuchStream(name: string): Refusal {
  return { status: 'NOT_FOUND', code: NOT_FOUND, message: `no such stream: ${name}` };
}

/** The partition of a publish, or the reason why it has none. */
export function findTarget(node: BrokerNode, name: string, partition: number): PublishTarget | Refusal {
  const stream = node.stream(name);
  if (!stream) return noSuchStream(name);
  const state = stream.partitions[partition];
  if (!state) return { status: 'NOT_FOUND', code: NOT_FOUND, message: `no such partition: ${partition}` };
  return { stream, partition: state };
}

/** Whether the name of any header is too long. */
export function hasOverlongHeader(headers: ReadonlyMap<string, unknown>): boolean {
  for (const name of headers.keys()) {
    if (isOverlong(name)) return true;
  }
  return false;
}

/** The reason why the partition refuses the message, null when it accepts it. Readonly takes precedence over paused. */
export function refusalOf(node: BrokerNode, target: PublishTarget, ackPolicy: number): Refusal | null {
  const { stream, partition } = target;
  if (isReadonly(node, partition)) return readonlyRefusal(partition.id);
  if (stream.config.optimisticConcurrencyControl && ackPolicy === wire.AckPolicy.NONE) return WITHOUT_ACK;
  return null;
}

function readonlyRefusal(partition: number): Refusal {
  return { status: 'FAILED_PRECONDITION', code: READONLY, message: `readonly partition: ${partition}` };
}

/** The log holds the flag; a broker without a replica has only the metadata. */
function isReadonly(node: BrokerNode, partition: PartitionState): boolean {
  return node.replica(partition.stream, partition.id)?.log.readonly ?? partition.readonly;
}
