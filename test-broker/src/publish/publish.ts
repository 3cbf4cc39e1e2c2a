import { wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import { pausedPartitions, resume } from '../cluster/resume.js';
import type { Authorize } from '../grpc/authorization.js';
import { RpcError, type StatusName } from '../grpc/status.js';
import { AckWait, ackInboxOf } from './ack-wait.js';
import { orUnknown } from './bus-errors.js';
import type { PublishCaller } from './publish-caller.js';
import {
  findTarget,
  hasOverlongHeader,
  noSuchStream,
  OVERLONG_HEADER,
  type Refusal,
  refusalOf,
} from './publish-checks.js';
import { publishEnvelope } from './publish-envelope.js';

/** A message for NATS, with its subject and ack inbox. */
export interface Outgoing {
  readonly subject: string;
  readonly envelope: Buffer;
  readonly ackInbox: string;
  readonly ackPolicy: wire.AckPolicy;
}

/**
 * Publishes a message to a partition over NATS. Resolves with the first ack of any stream, and with undefined when the
 * caller waits for none. Rejects with RpcError, also when the ack reports an error.
 */
export async function publish(
  node: BrokerNode,
  authorize: Authorize,
  request: wire.PublishRequest,
  caller: PublishCaller,
): Promise<wire.Ack | undefined> {
  const { stream, partition, ackPolicy } = request;
  if (stream === '') throw new RpcError('INVALID_ARGUMENT', 'no stream provided');
  if (!node.stream(stream)) throw refused(noSuchStream(stream));
  authorize(caller, stream, 'Publish');
  const target = findTarget(node, stream, partition);
  if ('code' in target) throw refused(target);
  const refusal = refusalOf(node, target, ackPolicy);
  if (refusal) throw refused(refusal);
  if (hasOverlongHeader(request.headers)) throw refused(OVERLONG_HEADER);
  const paused = pausedPartitions(target.stream, partition);
  if (paused.length > 0) await resume(node, stream, paused, caller.deadline);
  const { subject } = target.partition;
  const ackInbox = request.ackInbox || ackInboxOf(node);
  const envelope = publishEnvelope(request, subject, ackInbox);
  const ack = await publishAndWait(node, { subject, envelope, ackInbox, ackPolicy }, caller);
  if (ack) throwNack(ack.ackError);
  return ack;
}

/** Publishes a message on NATS and reads the first message in its ack inbox as the ack. Rejects with RpcError. */
export async function publishAndWait(
  node: BrokerNode,
  outgoing: Outgoing,
  caller: PublishCaller,
): Promise<wire.Ack | undefined> {
  if (outgoing.ackPolicy === wire.AckPolicy.NONE || caller.deadline === null) {
    putOnNats(node, outgoing);
    return undefined;
  }
  const waiting = new AckWait(node, outgoing.ackInbox, caller.signal, caller.deadline);
  try {
    putOnNats(node, outgoing);
    return await waiting.ack;
  } finally {
    waiting.close();
  }
}

function putOnNats(node: BrokerNode, { subject, envelope }: Outgoing): void {
  orUnknown('failed to publish to NATS', () => node.bus.publish(subject, envelope));
}

function refused({ status, message }: Refusal): RpcError {
  return new RpcError(status, message);
}

const NACKS: Readonly<Record<number, readonly [StatusName, string]>> = {
  [wire.Ack_Error.INCORRECT_OFFSET]: ['UNKNOWN', 'incorrect expected offset'],
  [wire.Ack_Error.TOO_LARGE]: ['INVALID_ARGUMENT', 'message exceeds max replication size'],
  [wire.Ack_Error.ENCRYPTION]: ['INTERNAL', 'encryption failed on partition'],
};

function throwNack(error: wire.Ack_Error): void {
  if (error === wire.Ack_Error.OK) return;
  const [status, message] = NACKS[error] ?? (['UNKNOWN', 'unknown error'] as const);
  throw new RpcError(status, message);
}
