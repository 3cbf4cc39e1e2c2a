import { type AckPolicy, ackPolicyCode, ackPolicyOf } from './ack-policy.js';
import type * as wire from './generated/api.js';

/** Why a broker did not store a message; `'ok'` when it did. A number that nobody names reads as `'unknown'`. */
export type AckError = 'ok' | 'unknown' | 'incorrect-offset' | 'too-large' | 'encryption';

/** A broker's answer to one message, from one stream. go-liftbridge: `Ack`. */
export interface Ack {
  /** The stream that answers. */
  readonly stream: string;
  /** The subject of the stream, without the `.n` of a partition; a pattern for a wildcard stream. */
  readonly partitionSubject: string;
  /** The subject that the message was published to. */
  readonly messageSubject: string;
  /** Where the message stands in its partition; `0n` when it was refused. */
  readonly offset: bigint;
  /** The NATS subject that the ack was sent to. */
  readonly ackInbox: string;
  /** The id that the publisher gave to the message. */
  readonly correlationId: string;
  /** The policy that the message was published with. */
  readonly ackPolicy: AckPolicy;
  /** When the leader received the message, in nanoseconds since the epoch. */
  readonly receptionTimestamp: bigint;
  /** When the ack was sent, in nanoseconds since the epoch. */
  readonly commitTimestamp: bigint;
  /** Whether the message was stored, and why not. */
  readonly error: AckError;
}

/** The errors in the order of their numbers on the wire. */
export const ACK_ERRORS: readonly AckError[] = ['ok', 'unknown', 'incorrect-offset', 'too-large', 'encryption'];

/** The public view of a decoded ack. */
export function toAck(ack: wire.Ack): Ack {
  return {
    stream: ack.stream,
    partitionSubject: ack.partitionSubject,
    messageSubject: ack.msgSubject,
    offset: ack.offset,
    ackInbox: ack.ackInbox,
    correlationId: ack.correlationId,
    ackPolicy: ackPolicyOf(ack.ackPolicy),
    receptionTimestamp: ack.receptionTimestamp,
    commitTimestamp: ack.commitTimestamp,
    error: ACK_ERRORS[ack.ackError] ?? 'unknown',
  };
}

/** The fields of an ack to be written, all optional. */
export type AckFields = {
  readonly [Name in keyof Ack]?: (Ack[Name] extends bigint ? bigint | number : Ack[Name]) | undefined;
};

/** The wire's view of a public ack, parts that are missing at their defaults. */
export function fromAck(ack: AckFields): wire.Ack {
  return {
    stream: ack.stream ?? '',
    partitionSubject: ack.partitionSubject ?? '',
    msgSubject: ack.messageSubject ?? '',
    offset: BigInt(ack.offset ?? 0n),
    ackInbox: ack.ackInbox ?? '',
    correlationId: ack.correlationId ?? '',
    ackPolicy: ackPolicyCode(ack.ackPolicy ?? 'leader'),
    receptionTimestamp: BigInt(ack.receptionTimestamp ?? 0n),
    commitTimestamp: BigInt(ack.commitTimestamp ?? 0n),
    ackError: ACK_ERRORS.indexOf(ack.error ?? 'ok') as wire.Ack_Error,
  };
}
