import {
  bytes,
  checkOptions,
  checkValue,
  flag,
  headerNameFault,
  headers,
  int64,
  oneOf,
  payload,
  type Rule,
  type Shape,
  text,
} from '../options.js';
import { ACK_POLICIES, type AckPolicy, ackPolicyCode } from '../protocol/ack-policy.js';
import type { MessageFields } from '../protocol/message.js';

/** What a message carries: text is sent as UTF-8; `null` and empty values read back as `null`. */
export type Value = string | Uint8Array | null;

/** What an envelope says beside the value. go-liftbridge: the `MessageOption`s of `NewMessage`. */
export interface EnvelopeOptions {
  /** Key, for compaction and for consumers. Default: none. go-liftbridge: `Key`. */
  readonly key?: string | Uint8Array | null | undefined;
  /**
   * User headers, text as UTF-8. Default: none. A broker overwrites the names `subject` and `reply` with the NATS
   * subject and reply subject. go-liftbridge: `Header`, `Headers`.
   */
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /** NATS subject that acks are sent to. Default: none, then nothing is acknowledged. go-liftbridge: `AckInbox`. */
  readonly ackInbox?: string | undefined;
  /** Comes back in acks. Default: none. go-liftbridge: `CorrelationID`. */
  readonly correlationId?: string | undefined;
  /** Default: `'leader'`. With `'none'` only refusals are answered. go-liftbridge: `AckPolicyLeader`, `AckPolicyAll`, `AckPolicyNone`. */
  readonly ackPolicy?: AckPolicy | undefined;
  /**
   * The offset that the message has to get, on streams with optimistic concurrency control; a refusal is answered to
   * `ackInbox`. Default: -1, any. go-liftbridge: `ExpectedOffset`.
   */
  readonly expectedOffset?: bigint | number | undefined;
  /** Whether to add a CRC-32C of the payload, which every server and client verifies. Four bytes. Default: `false`. */
  readonly checksum?: boolean | undefined;
}

/** The rules of EnvelopeOptions, to spread into the shape of a call. */
export const ENVELOPE_SHAPE = {
  key: payload,
  headers,
  ackInbox: text,
  correlationId: text,
  ackPolicy: oneOf(...ACK_POLICIES),
  expectedOffset: int64(),
  checksum: flag,
} satisfies Shape<EnvelopeOptions>;

const RULES: ReadonlyMap<string, Rule> = new Map(Object.entries(ENVELOPE_SHAPE));

/**
 * Throws InvalidArgumentError for a value or an option that is not allowed, naming it. Options are looked over without
 * allocating anything first: checking costs more than encoding otherwise.
 */
export function checkMessage(where: string, value: unknown, options: unknown): void {
  if (!payload.accepts(value)) checkValue(where, 'value', value, payload);
  if (options !== undefined && !isSound(options)) checkOptions(where, options, ENVELOPE_SHAPE);
}

function isSound(options: unknown): boolean {
  if (typeof options !== 'object' || options === null) return false;
  for (const name in options) {
    const rule = RULES.get(name);
    const value = (options as Record<string, unknown>)[name];
    if (rule === undefined || (value !== undefined && !(rule.accepts(value) && isSoundInside(rule, value))))
      return false;
  }
  return true;
}

function isSoundInside(rule: Rule, value: unknown): boolean {
  if (rule !== headers) return true;
  for (const name in value as object) {
    if (!bytes.accepts((value as Record<string, unknown>)[name]) || headerNameFault(name) !== null) return false;
  }
  return true;
}

const ANY_OFFSET = -1n;
const NO_OPTIONS: EnvelopeOptions = Object.freeze({});

/** The fields of the message to be put into an envelope, from a value and options that have been checked. */
export function messageFields(value: Value, options: EnvelopeOptions = NO_OPTIONS): MessageFields {
  const { key, headers, expectedOffset } = options;
  return {
    offset: expectedOffset === undefined ? ANY_OFFSET : BigInt(expectedOffset),
    key: key === undefined ? null : toBytes(key),
    value: toBytes(value),
    timestamp: 0n,
    stream: '',
    partition: 0,
    subject: '',
    replySubject: '',
    headers: headers === undefined ? null : entriesOf(headers),
    ackInbox: options.ackInbox ?? '',
    correlationId: options.correlationId ?? '',
    ackPolicy: ackPolicyCode(options.ackPolicy ?? 'leader'),
  };
}

function toBytes(value: string | Uint8Array): Uint8Array;
function toBytes(value: string | Uint8Array | null): Uint8Array | null;
function toBytes(value: string | Uint8Array | null): Uint8Array | null {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}

function entriesOf(headers: Readonly<Record<string, string | Uint8Array>>): [string, Uint8Array][] {
  const entries: [string, Uint8Array][] = [];
  for (const name of Object.keys(headers)) entries.push([name, toBytes(headers[name]!)]);
  return entries;
}
