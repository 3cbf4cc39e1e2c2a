import { type AckPolicy, ackPolicyCode, ackPolicyOf } from './ack-policy.js';
import type * as wire from './generated/api.js';
import { jsonFields, readsAsPlain } from './json.js';
import type { Ack, AckError, AckFields } from './public.js';

export type { Ack, AckError, AckFields } from './public.js';

/** The errors in the order of their numbers on the wire. */
export const ACK_ERRORS: readonly AckError[] = ['ok', 'unknown', 'incorrect-offset', 'too-large', 'encryption'];

/** The public view of a decoded ack. `partition` is that of the publish, where that is known. */
export function toAck(ack: wire.Ack, partition = partitionOf(ack)): Ack {
  return new ReceivedAck(ack, partition);
}

/** What comes after the subject of the stream is the number of the partition; nothing is partition 0. */
function partitionOf({ partitionSubject, msgSubject }: wire.Ack): number {
  if (msgSubject === partitionSubject) return msgSubject === '' || /[*>]/.test(msgSubject) ? -1 : 0;
  const rest = msgSubject.startsWith(`${partitionSubject}.`) ? msgSubject.slice(partitionSubject.length + 1) : '';
  return /^[1-9]\d{0,9}$/.test(rest) ? Number(rest) : -1;
}

/** A class, because it makes an object with a prototype at the cost of a literal. */
class ReceivedAck implements Ack {
  readonly stream: string;
  readonly partition: number;
  readonly partitionSubject: string;
  readonly messageSubject: string;
  readonly offset: bigint;
  readonly ackInbox: string;
  readonly correlationId: string;
  readonly ackPolicy: AckPolicy;
  readonly receptionTimestamp: bigint;
  readonly commitTimestamp: bigint;
  readonly error: AckError;

  constructor(ack: wire.Ack, partition: number) {
    this.stream = ack.stream;
    this.partition = partition;
    this.partitionSubject = ack.partitionSubject;
    this.messageSubject = ack.msgSubject;
    this.offset = ack.offset;
    this.ackInbox = ack.ackInbox;
    this.correlationId = ack.correlationId;
    this.ackPolicy = ackPolicyOf(ack.ackPolicy);
    this.receptionTimestamp = ack.receptionTimestamp;
    this.commitTimestamp = ack.commitTimestamp;
    this.error = ACK_ERRORS[ack.ackError] ?? 'unknown';
  }

  toJSON(): Record<string, unknown> {
    return jsonFields(Object.entries(this));
  }
}
readsAsPlain(ReceivedAck);

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
