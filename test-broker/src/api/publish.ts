import { ByteWriter, decodePublishRequest, encodePublishResponse, wire } from 'liftbridge-client/protocol';
import type { BrokerNode } from '../cluster/contract.js';
import type { Authorize } from '../grpc/authorization.js';
import type { Method } from '../grpc/service.js';
import { RpcError, type StatusName } from '../grpc/status.js';
import { BusError, type BusMessage } from '../nats/bus.js';
import { readAck } from './ack-inbox.js';
import { nuid } from './nuid.js';
import {
  findTarget,
  hasOverlongHeader,
  noSuchStream,
  OVERLONG_HEADER,
  type Refusal,
  refusalOf,
} from './publish-checks.js';
import { publishEnvelope } from './publish-envelope.js';
import { pausedPartitions, resume } from './resume.js';

/** Who waits for the ack of a publish, and for how long. */
export interface PublishCaller {
  /** When the caller stops waiting, in milliseconds of `Date.now()`; null when it waits for no ack at all. */
  readonly deadline: number | null;
  readonly identity: string | null;
  readonly signal: AbortSignal;
}

/** What is put on NATS, and where. */
export interface Outgoing {
  readonly subject: string;
  readonly envelope: Buffer;
  readonly ackInbox: string;
  readonly ackPolicy: wire.AckPolicy;
}

const NO_ACK = Object.freeze({ ack: undefined, asyncError: undefined, correlationId: '' });
const writer = new ByteWriter();

/** Publish. */
export function publishMethods(node: BrokerNode, authorize: Authorize): Record<string, Method> {
  return {
    Publish: {
      kind: 'unary',
      async handle(payload, call) {
        const request = decodePublishRequest(payload);
        const ack = await publish(node, authorize, request, call);
        if (ack) throwNack(ack.ackError);
        encodePublishResponse(writer, ack ? { ...NO_ACK, ack } : NO_ACK);
        return writer.take();
      },
    },
  };
}

/**
 * Publishes a message to a partition over NATS. Resolves with the first ack, whichever stream it is of, and with
 * undefined when the caller waits for none. Rejects with RpcError.
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
  return publishAndWait(node, { subject, envelope, ackInbox, ackPolicy }, caller);
}

/** A new ack inbox of this broker's namespace. */
export function ackInboxOf(node: BrokerNode): string {
  return `${node.settings['clustering.namespace']}.ack.${nuid()}`;
}

/** Puts a message on NATS and takes the first that comes to its ack inbox for the ack. Rejects with RpcError. */
export async function publishAndWait(
  node: BrokerNode,
  outgoing: Outgoing,
  caller: PublishCaller,
): Promise<wire.Ack | undefined> {
  if (outgoing.ackPolicy === wire.AckPolicy.NONE || caller.deadline === null) {
    putOnNats(node, outgoing);
    return undefined;
  }
  const inbox = new FirstMessage(node, outgoing.ackInbox, caller, caller.deadline);
  try {
    putOnNats(node, outgoing);
    return readAck((await inbox.message).data);
  } finally {
    inbox.close();
  }
}

function putOnNats(node: BrokerNode, { subject, envelope }: Outgoing): void {
  orUnknown('failed to publish to NATS', () => node.bus.publish(subject, envelope));
}

/** Waits for one message on a subject, until the caller gives up. */
class FirstMessage {
  readonly message: Promise<BusMessage>;
  #close: () => void = () => {};

  constructor(node: BrokerNode, subject: string, { signal }: PublishCaller, deadline: number) {
    let arrived: (message: BusMessage) => void;
    let gaveUp: (error: RpcError) => void;
    this.message = new Promise<BusMessage>((resolve, reject) => {
      arrived = resolve;
      gaveUp = reject;
    });
    // Nobody listens yet when putting the message on NATS fails first.
    this.message.catch(() => {});
    const subscription = orUnknown('failed to subscribe to ack inbox', () =>
      node.bus.subscribe(subject, (message) => arrived(message)),
    );
    const late = () => gaveUp(new RpcError('DEADLINE_EXCEEDED', 'context deadline exceeded'));
    const aborted = () => (Date.now() >= deadline ? late() : gaveUp(new RpcError('CANCELLED', 'context canceled')));
    const timer = node.clock.after(deadline - Date.now(), late);
    signal.addEventListener('abort', aborted);
    if (signal.aborted) aborted();
    this.#close = () => {
      subscription.unsubscribe();
      timer.cancel();
      signal.removeEventListener('abort', aborted);
    };
  }

  close(): void {
    this.#close();
  }
}

function orUnknown<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof BusError) throw new RpcError('UNKNOWN', `${what}: ${error.message}`);
    throw error;
  }
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
