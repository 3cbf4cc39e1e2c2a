import {
  checkValue,
  envelopeInbox,
  flag,
  headers,
  int64,
  messageKey,
  oneOf,
  payload,
  readOptions,
  type Shape,
  wellFormedText,
} from '../options.js';
import { ACK_POLICIES, type AckPolicy, ackPolicyCode } from '../protocol/ack-policy.js';
import type { MessageFields } from '../protocol/message.js';

/** The value of a message: text is sent as UTF-8; `null` and empty values read back as `null`. Bytes are copied by the call. */
export type Value = string | Uint8Array | null;

/** The fields of an envelope beside the value. go-liftbridge: the `MessageOption`s of `NewMessage`. */
export interface EnvelopeOptions {
  /** Key, for compaction and for consumers. Default: none. go-liftbridge: `Key`. */
  readonly key?: string | Uint8Array | null | undefined;
  /**
   * User headers, text as UTF-8. Default: none. A broker overwrites the names `subject` and `reply` with the NATS
   * subject and reply subject. go-liftbridge: `Header`, `Headers`.
   */
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /** NATS subject that acks are sent to. Default: none; no ack is sent then. go-liftbridge: `AckInbox`. */
  readonly ackInbox?: string | undefined;
  /** Comes back in acks. Default: none. go-liftbridge: `CorrelationID`. */
  readonly correlationId?: string | undefined;
  /** Default: `'leader'`. With `'none'` only refusals are sent. go-liftbridge: `AckPolicyLeader`, `AckPolicyAll`, `AckPolicyNone`. */
  readonly ackPolicy?: AckPolicy | undefined;
  /**
   * The offset that the message must get, on streams with optimistic concurrency control; a refusal is sent to
   * `ackInbox`. Default: -1, any. go-liftbridge: `ExpectedOffset`.
   */
  readonly expectedOffset?: bigint | number | undefined;
  /** Whether to add a CRC-32C of the payload, which every server and client verifies. Four bytes. Default: `false`. */
  readonly checksum?: boolean | undefined;
}

/** The rules of EnvelopeOptions, to spread into the shape of a call. */
export const ENVELOPE_SHAPE = {
  key: messageKey,
  headers,
  ackInbox: envelopeInbox,
  correlationId: wellFormedText,
  ackPolicy: oneOf(...ACK_POLICIES),
  expectedOffset: int64(),
  checksum: flag,
} satisfies Shape<EnvelopeOptions>;

/** Reads the options of a message. Throws InvalidArgumentError for a value or an option that is not allowed, naming it. */
export function readEnvelopeOptions(where: string, value: unknown, options: unknown): EnvelopeOptions {
  checkValue(where, 'value', value, payload);
  return readOptions<EnvelopeOptions>(where, options, ENVELOPE_SHAPE);
}

const ANY_OFFSET = -1n;

/** The inbox of the acks of a message, and the id that they are matched by. */
export type AckAddress = Pick<EnvelopeOptions, 'ackInbox' | 'correlationId'>;

/** The fields of the message in an envelope, from a value and options that have been read. */
export function messageFields(
  value: Value,
  options: EnvelopeOptions,
  address: AckAddress,
): MessageFields<Uint8Array | string> {
  const { expectedOffset } = options;
  return {
    offset: expectedOffset === undefined ? ANY_OFFSET : BigInt(expectedOffset),
    key: options.key ?? null,
    value,
    timestamp: 0n,
    stream: '',
    partition: 0,
    subject: '',
    replySubject: '',
    headers: options.headers === undefined ? null : Object.entries(options.headers),
    ackInbox: address.ackInbox ?? '',
    correlationId: address.correlationId ?? '',
    ackPolicy: ackPolicyCode(options.ackPolicy ?? 'leader'),
  };
}
