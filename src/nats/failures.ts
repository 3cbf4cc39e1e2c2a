import { ackFailure } from '../envelope/ack-failure.js';
import { excerpt, messageOf, quoted as quote } from '../errors/quote.js';
import {
  AckTimeoutError,
  ConnectionError,
  type LiftbridgeError,
  MessageTooLargeError,
  PermissionDeniedError,
  TimeoutError,
} from '../errors.js';
import type { PendingPublish, Wait } from './pending-publish.js';

const context = { operation: 'publish' } as const;

/** Why a publish was not sent in time. */
const WAITED: Readonly<Record<Wait, string>> = {
  full: 'earlier publishes filled maxInFlight',
  connection: 'there was no connection to the NATS server',
  silence: 'earlier publishes to its subject were not acknowledged either',
  late: 'too little of its timeout was left for an ack when its turn came',
};

/** Why a broker may send no ack. */
const ADVICE =
  'Is there a stream on the subject, and a leader of its partition? A paused or readonly partition acknowledges nothing, ' +
  'and a publish over NATS does not resume a paused one.';

/** The error of a publish that timed out, by the state that it had reached. */
export function timeoutError(publish: PendingPublish): LiftbridgeError {
  const { timeout, wanted, acks } = publish;
  if (publish.refusal !== null) return refusalError(publish);
  const attempted = `publish to ${quoted(publish)} did not end within ${timeout} ms`;
  if (!publish.sent) {
    const advice = publish.wait === 'silence' ? ` ${ADVICE}` : '';
    return new TimeoutError(`${attempted}: it was not sent, ${WAITED[publish.wait]}.${advice}`, context);
  }
  if (wanted === 0) return new TimeoutError(`${attempted}: the NATS server has not confirmed it`, context);
  const came = acks.length === 0 ? 'no ack came' : `${acks.length} of ${wanted} acks came`;
  const text = `${attempted}: ${came}. Whether it was stored is not known. ${ADVICE}`;
  return new AckTimeoutError(text, { ...context, otherAcks: acks });
}

/** The error of a publish that a stream refused; the acks of the others are on it. */
export function refusalError({ refusal, acks }: PendingPublish): LiftbridgeError {
  return ackFailure(refusal!, 'publish', acks)!;
}

/** The error of a publish whose connection broke. */
export function connectionBroke(publish: PendingPublish, cause?: unknown): LiftbridgeError {
  return connectionLost(publish, 'broke', true, cause);
}

/** The error of a publish whose connection was closed for good. */
export function connectionClosed(publish: PendingPublish, cause: unknown): LiftbridgeError {
  return connectionLost(publish, 'is closed', false, cause);
}

function quoted({ subject }: PendingPublish): string {
  return quote(subject);
}

function connectionLost(publish: PendingPublish, how: string, retryable: boolean, cause: unknown): LiftbridgeError {
  if (publish.refusal !== null) return refusalError(publish);
  const told = publish.sent ? 'whether it was stored is not known' : 'it was not sent';
  return new ConnectionError(`publish to ${quoted(publish)} failed: the NATS connection ${how}; ${told}`, {
    ...context,
    reason: 'lost',
    outcome: publish.sent ? 'unknown' : 'not-sent',
    retryable,
    cause,
    ...(publish.acks.length > 0 && { otherAcks: publish.acks }),
  });
}

/** The error of a publish that the connection refused; `final` when it will refuse every other one too. */
export function sendError(publish: PendingPublish, cause: unknown, final: boolean): ConnectionError {
  return new ConnectionError(
    `publish to ${quoted(publish)} failed: the NATS connection refused it: ${messageOf(cause)}`,
    { ...context, reason: 'lost', outcome: 'not-sent', retryable: !final, cause },
  );
}

/** The error for a subject that the NATS server does not let this user publish to. */
export function publishDenied(subject: string, cause: unknown): PermissionDeniedError {
  return new PermissionDeniedError(
    `publish to ${quote(subject)} failed: the NATS server does not permit this user to publish there`,
    { ...context, cause },
  );
}

/** The error for an inbox that the NATS server closed. */
export function inboxClosed(inbox: string, cause: Error): PermissionDeniedError | ConnectionError {
  const text = `acks cannot arrive: the subscription to ${excerpt(inbox)} was ended by the NATS server: ${messageOf(cause)}`;
  if (!/permission/i.test(cause.message) && !/permission/i.test(cause.name))
    return new ConnectionError(text, { ...context, reason: 'lost', retryable: false, cause });
  return new PermissionDeniedError(`${text}. Set inboxPrefix to a subject that this user may subscribe to.`, {
    ...context,
    cause,
  });
}

/** The error for an envelope above the limit of the NATS server, which would close the connection. */
export function tooLarge(subject: string, size: number, limit: number): MessageTooLargeError {
  return new MessageTooLargeError(
    `publish to ${quote(subject)} failed: its envelope has ${size} bytes, the max_payload of the NATS server is ${limit}. ` +
      "Make it smaller, or raise max_payload, and the brokers' clustering.replication.max.bytes with it.",
    context,
  );
}
