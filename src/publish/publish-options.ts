import { types } from 'node:util';
import {
  ackInbox,
  CALL_SHAPE,
  type CallOptions,
  callback,
  checkValue,
  headers,
  int64,
  messageKey,
  oneOf,
  type PublishDefaults,
  partitionId,
  payload,
  type Rule,
  readOptions,
  type Shape,
  streamName,
  wellFormedText,
} from '../options.js';
import type { AckPolicy } from '../protocol/ack-policy.js';
import { byteCount, copyOf, plainView } from '../protocol/byte-views.js';
import type { HeaderEntries } from '../protocol/headers.js';
import type { Partitioner } from './partitioners.js';

/**
 * The value of a message: text is sent as UTF-8; null is no value, as is an empty one. A value, a key and each header of up to
 * 1 KiB are copied by the call. Larger bytes are not: do not change them before the publish has settled.
 */
export type Value = string | Uint8Array | null;

/** How one message is published. go-liftbridge: `MessageOption`. */
export interface PublishOptions extends CallOptions {
  /** Milliseconds to wait for the ack. Default: the client's `ackTimeout`. */
  readonly timeout?: number | undefined;
  /** Text is taken as UTF-8. Default: none. go-liftbridge: `Key`. */
  readonly key?: string | Uint8Array | null | undefined;
  /** Brokers add `subject` and `reply` of their own, over any of that name. go-liftbridge: `Header`, `Headers`. */
  readonly headers?: Readonly<Record<string, string | Uint8Array>> | undefined;
  /** Default 'leader'. go-liftbridge: `AckPolicyLeader`, `AckPolicyAll`, `AckPolicyNone`. */
  readonly ackPolicy?: AckPolicy | undefined;
  /** NATS subject that acks are sent to as well. Brokers heed it in `publishToSubject` alone. go-liftbridge: `AckInbox`. */
  readonly ackInbox?: string | undefined;
  /** Comes back in the ack. Generated when absent; one that is in flight is refused. go-liftbridge: `CorrelationID`. */
  readonly correlationId?: string | undefined;
  /** The offset that the message must get, on a stream with optimistic concurrency control. Default: any. go-liftbridge: `ExpectedOffset`. */
  readonly expectedOffset?: bigint | number | undefined;
  /** Wins over `partitioner`. Default 0. go-liftbridge: `ToPartition`. */
  readonly partition?: number | undefined;
  /** Chooses the partition once the stream is known. go-liftbridge: `PartitionBy`. */
  readonly partitioner?: Partitioner | undefined;
}

/** The options of a call over the defaults of its client. */
export function withDefaults(options: PublishOptions, defaults: PublishDefaults): PublishOptions {
  const set = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const headers = options.headers === undefined ? defaults.headers : { ...defaults.headers, ...options.headers };
  return { ...defaults, ...set, headers };
}

/** Options of `publishAll`. @inline */
export interface PublishAllOptions extends PublishOptions {
  /** 'stop' ends at the first failure, by throwing it; 'continue' hands out a result for each message. Default 'stop'. */
  readonly onError?: 'stop' | 'continue' | undefined;
}

/** A message of `publishAll` or `publishBatch` with options of its own, which win over those of the call. */
export interface OutgoingMessage extends Omit<PublishOptions, 'signal' | 'timeout'> {
  /** What is published. */
  readonly value: Value;
}

const MESSAGE_SHAPE = {
  key: messageKey,
  headers,
  ackPolicy: oneOf('leader', 'all', 'none'),
  ackInbox,
  correlationId: wellFormedText,
  expectedOffset: int64(-1n),
  partition: partitionId,
  partitioner: callback,
} as const;

const PUBLISH_SHAPE = { ...CALL_SHAPE, ...MESSAGE_SHAPE } satisfies Shape<PublishOptions>;
const PUBLISH_ALL_SHAPE = { ...PUBLISH_SHAPE, onError: oneOf('stop', 'continue') } satisfies Shape<PublishAllOptions>;
const OUTGOING_SHAPE = { ...MESSAGE_SHAPE, value: payload } satisfies Shape<OutgoingMessage>;

/** An entry of a source. */
const ENTRY: Rule = {
  expected: 'a string, a Uint8Array, null or an object with value and options',
  accepts: (value) => typeof value === 'object' && !Array.isArray(value),
};

/** The stream name that was accepted last: a comparison costs less than the check, and a program uses few streams. */
let acceptedStream = '';

/** Reads the options of a publish. Throws InvalidArgumentError for a stream, value or options that cannot be published. */
export function readPublish(
  where: string,
  stream: unknown,
  value: unknown,
  options: PublishOptions | undefined,
): PublishOptions {
  if (stream !== acceptedStream || acceptedStream === '') {
    checkValue(where, 'stream', stream, streamName);
    acceptedStream = stream as string;
  }
  return readMessage(where, value, options);
}

/** The same without a stream. */
export function readMessage(where: string, value: unknown, options: PublishOptions | undefined): PublishOptions {
  if (typeof value !== 'string') checkValue(where, 'value', value, payload);
  return readPublishOptions(where, options);
}

/** Reads the options of a publish. Throws InvalidArgumentError for those that are not allowed. */
export function readPublishOptions(where: string, options: PublishOptions | undefined): PublishOptions {
  return readOptions<PublishOptions>(where, options, PUBLISH_SHAPE);
}

/** The same for `publishAll`. */
export function readPublishAll(options: PublishAllOptions | undefined): PublishAllOptions {
  return readOptions<PublishAllOptions>('publishAll', options, PUBLISH_ALL_SHAPE);
}

/** The message and options of an entry of a source. Throws InvalidArgumentError. */
export function outgoing(
  entry: Value | OutgoingMessage,
  common: PublishOptions,
  where = 'publishAll',
): { value: Value; options: PublishOptions } {
  if (entry === null || typeof entry === 'string' || types.isUint8Array(entry))
    return { value: entry, options: common };
  checkValue(where, 'message', entry, ENTRY);
  const { value, ...options } = readOptions<OutgoingMessage>(where, entry, OUTGOING_SHAPE, 'message');
  if (value === undefined) checkValue(where, 'message.value', undefined, payload);
  return { value, options: { ...common, ...options } };
}

/** Up to this size, in bytes, a copy costs less than a tenth of a publish. */
const LONGEST_COPY = 1_024;

/** Text as UTF-8, a copy of few bytes, a view of many bytes, or null. */
export function toBytes(value: Value | undefined): Buffer | null {
  return value === undefined || value === null ? null : contentOf(value);
}

function contentOf(value: string | Uint8Array): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  return byteCount(value) <= LONGEST_COPY ? copyOf(value) : plainView(value);
}

/** Headers in the form of the codecs. */
export function toHeaders(headers: PublishOptions['headers']): HeaderEntries | null {
  if (headers === undefined) return null;
  const entries = Object.entries(headers);
  if (entries.length === 0) return null;
  return entries.map(([header, value]) => [header, contentOf(value)] as const);
}
