import { ackPolicyCode, ackPolicyOf } from './ack-policy.js';
import type * as wire from './generated/api.js';
import type { Ack, AckError, AckFields } from './public.js';

export type { Ack, AckError, AckFields } from './public.js';

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
