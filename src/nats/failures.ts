import {
  AckTimeoutError,
  ConnectionError,
  MessageTooLargeError,
  PermissionDeniedError,
  TimeoutError,
} from '../errors.js';
import type { PendingPublish } from './pending-publish.js';

const UNSENT = 'the connection was broken or what was published before it filled maxInFlight';
const context = { operation: 'publish' } as const;

/** The error of a publish that did not end in time, by how far it came. */
export function expired(publish: PendingPublish): AckTimeoutError | TimeoutError {
  const { subject, timeout, wanted, acks } = publish;
  const attempted = `publish to ${JSON.stringify(subject)} did not end within ${timeout} ms`;
  if (!publish.sent) return new TimeoutError(`${attempted}: it was not sent, ${UNSENT}`, context);
  if (wanted === 0) return new TimeoutError(`${attempted}: the NATS server has not confirmed that it took it`, context);
  const came = acks.length === 0 ? 'no ack came' : `${acks.length} of ${wanted} acks came`;
  const advice = 'Nobody knows whether it was stored. Is there a stream on the subject, and a leader?';
  return new AckTimeoutError(`${attempted}: ${came}. ${advice}`, { ...context, otherAcks: [...acks] });
}

/** The error of a publish whose connection broke or was closed. */
export function connectionLost(publish: PendingPublish, how: string, cause?: unknown): ConnectionError {
  const outcome = publish.sent ? 'unknown' : 'not-sent';
  const told = publish.sent ? 'nobody knows whether it was stored' : 'it was not sent';
  return new ConnectionError(
    `publish to ${JSON.stringify(publish.subject)} failed: the NATS connection ${how}; ${told}`,
    {
      ...context,
      reason: 'lost',
      outcome,
      cause,
    },
  );
}

/** The error of a publish that the connection did not take. */
export function notTaken(publish: PendingPublish, cause: unknown): ConnectionError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new ConnectionError(
    `publish to ${JSON.stringify(publish.subject)} failed: the NATS connection refused it: ${text}`,
    {
      ...context,
      reason: 'lost',
      outcome: 'not-sent',
      cause,
    },
  );
}

/** The error for a subject that the NATS server does not let this user publish to. */
export function publishDenied(subject: string, cause: unknown): PermissionDeniedError {
  return new PermissionDeniedError(
    `publish to ${JSON.stringify(subject)} failed: the NATS server does not permit this user to publish there`,
    { ...context, cause },
  );
}

/** The error for an inbox that the NATS server closed. */
export function inboxClosed(inbox: string, cause: Error): PermissionDeniedError | ConnectionError {
  const text = `acks cannot arrive: the subscription to ${inbox} was ended by the NATS server: ${cause.message}`;
  if (!/permission/i.test(cause.message) && !/permission/i.test(cause.name))
    return new ConnectionError(text, { ...context, reason: 'lost', cause });
  return new PermissionDeniedError(`${text}. Set inboxPrefix to a subject that this user may subscribe to.`, {
    ...context,
    cause,
  });
}

/** The error for an envelope that the NATS server would not take: it would close the connection. */
export function tooLarge(subject: string, size: number, limit: number): MessageTooLargeError {
  return new MessageTooLargeError(
    `publish to ${JSON.stringify(subject)} failed: its envelope has ${size} bytes, the max_payload of the NATS server is ${limit}. ` +
      "Make it smaller, or raise max_payload, and the brokers' clustering.replication.max.bytes with it.",
    context,
  );
}
