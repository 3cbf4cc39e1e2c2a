import type { BrokerTarget } from '../cluster/cluster-api.js';
import { excerpt } from '../errors/quote.js';
import {
  AckTimeoutError,
  ClosedError,
  ConnectionError,
  errorFromStatus,
  HandlerError,
  IncorrectOffsetError,
  type LiftbridgeError,
  NoSuchStreamError,
} from '../errors.js';
import { AckPolicy } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import type { PendingPublish } from './partition-queue.js';

/** Whether a broker knows no such stream or partition. */
export function isUnknownPlace({ code }: LiftbridgeError): boolean {
  return code === 'NO_SUCH_STREAM' || code === 'NO_SUCH_PARTITION';
}

/** The context of the errors of a publish. */
export function contextOf(pending: PendingPublish): { stream: string; partition: number; operation: string } {
  return { stream: pending.stream, partition: pending.partition, operation: 'Publish' };
}

/** The error for a publish that timed out; says whether it was sent. */
export function timeoutError(pending: PendingPublish): AckTimeoutError {
  const otherAcks = pending.otherAcks ?? [];
  const cause = pending.lastError ?? undefined;
  const where = `Publish to stream "${pending.stream}", partition ${pending.partition}`;
  let why = 'no ack came; whether it was stored is not known. Is the leader of the partition up, is the ISR complete?';
  if (pending.attempts > 0 && pending.ackPolicy === AckPolicy.NONE) why = 'the connection has not taken it yet.';
  else if (pending.attempts === 0)
    why = 'it could not be sent: no broker was reachable, or maxInFlight was reached. Nothing was stored.';
  else if (otherAcks.length > 0) {
    const others = excerpt(otherAcks.map((ack) => ack.stream).join(', '));
    why = `only other streams on its subject acknowledged it (${others}). Is the stream in a load-balance group with them?`;
  }
  return new AckTimeoutError(`${where} timed out after ${pending.timeout} ms: ${why}`, {
    ...contextOf(pending),
    otherAcks,
    cause,
  });
}

/** The error for a publish that had not settled when its client was closed. */
export function closedError(pending: PendingPublish): ClosedError {
  const outcome = pending.attempts > 0 ? 'whether it was stored is not known' : 'nothing was stored';
  return new ClosedError(
    `Publish to stream "${pending.stream}": the client was closed before its ack came; ${outcome}`,
    contextOf(pending),
  );
}

/** The error for a publish whose expected offset is taken, perhaps by an earlier attempt of its own. */
export function repeatedOffsetError(pending: PendingPublish, error: LiftbridgeError): IncorrectOffsetError {
  const message = `${error.message} An earlier attempt broke off with its outcome unknown: the message at that offset may be the same message.`;
  return new IncorrectOffsetError(message, { ...contextOf(pending), cause: pending.lastError });
}

/** The error for a stream that the cluster does not know. */
export function unknownStreamError(stream: string): NoSuchStreamError {
  const message = `Publish to stream "${stream}" refused: the cluster knows no stream of that name. Create it first, or check the name. Nothing was sent.`;
  return new NoSuchStreamError(message, { stream, operation: 'Publish' });
}

/** The error for a publish that waited for its stream to be looked up when the client was closed. */
export function closingError(pending: PendingPublish): ClosedError {
  const message = `Publish to stream "${pending.stream}" failed: the client was closed before it was sent.`;
  return new ClosedError(message, { stream: pending.stream, operation: 'Publish' });
}

/** The error for a publish whose connection broke with an unknown outcome; `pending` is null for the stream itself. */
export function lostError(target: BrokerTarget, end: StreamEnd, pending: PendingPublish | null): LiftbridgeError {
  const place = pending === null ? {} : { stream: pending.stream, partition: pending.partition };
  // A response of a proxy gets the error of a unary call.
  if (end.httpStatus !== undefined)
    return errorFromStatus('Publish', { code: end.code, details: end.message }, { ...place, broker: target.id });
  const why = end.code === 0 ? 'the broker ended it' : `${excerpt(end.message) || 'no details'} (${end.codeName})`;
  const what = pending === null ? '' : ` for stream "${pending.stream}", partition ${pending.partition},`;
  return new ConnectionError(
    `The publish stream${what} to broker ${excerpt(target.id)} (${excerpt(target.address)}) broke: ${why}. Whether the message was stored is not known.`,
    {
      ...place,
      broker: target.id,
      operation: 'Publish',
      reason: 'lost',
      outcome: 'unknown',
      cause: end.cause,
    },
  );
}

function handlerError(pending: PendingPublish, { message, cause, retryable }: HandlerError): HandlerError {
  const why = message.slice(message.indexOf(': ') + 2);
  const text = `Publish to stream "${pending.stream}", partition ${pending.partition} failed: ${why}`;
  return new HandlerError(text, { ...contextOf(pending), cause, retryable });
}

/** The error for a publish that was given up because the leader changed, or because it acknowledged later publishes. */
export function deposedError(pending: PendingPublish): ConnectionError {
  return new ConnectionError(
    `Publish to stream "${pending.stream}", partition ${pending.partition} was not acknowledged before the leader of the partition changed. Whether the message was stored is not known.`,
    { ...contextOf(pending), reason: 'no-leader', outcome: 'unknown', cause: pending.lastError ?? undefined },
  );
}

/** The error for a publish that a recovering broker refused and that cannot be sent again without breaking the order. */
export function overtakenError(pending: PendingPublish): ConnectionError {
  return new ConnectionError(
    `Publish to stream "${pending.stream}", partition ${pending.partition} was refused by a recovering broker, while later publishes to the partition were stored. Nothing was stored of this one: publish it again.`,
    { ...contextOf(pending), reason: 'unavailable', outcome: 'not-sent', cause: pending.lastError ?? undefined },
  );
}

/** The error for a publish to a broker that permanently refuses connections of this client. */
export function refusedError(pending: PendingPublish, refusal: LiftbridgeError): LiftbridgeError {
  if (refusal instanceof HandlerError) return handlerError(pending, refusal);
  if (!(refusal instanceof ConnectionError)) return refusal;
  const wasSent = pending.attempts > 0;
  const outcome = wasSent ? 'Whether an earlier attempt was stored is not known.' : 'Nothing was sent.';
  return new ConnectionError(
    `Publish to stream "${pending.stream}", partition ${pending.partition} failed: ${refusal.message.replace(/[^.]$/, '$&.')} ${outcome}`,
    {
      ...contextOf(pending),
      broker: refusal.broker,
      reason: refusal.reason,
      outcome: wasSent ? 'unknown' : 'not-sent',
      cause: refusal,
    },
  );
}
