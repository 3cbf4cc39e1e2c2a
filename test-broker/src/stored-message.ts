import type { Message } from 'liftbridge-client';
import { decodeMessage, FRAME_PREFIX, ReceivedMessage } from 'liftbridge-client/protocol';
import { encodeFrame, type LogRecord } from './log/frame.js';

/** A message that a broker has stored. */
export interface StoredMessage {
  /** Name of the stream. */
  readonly stream: string;
  /** Id of the partition. */
  readonly partition: number;
  /** Offset in the partition. */
  readonly offset: bigint;
  /** Null when there is none. */
  readonly key: Buffer | null;
  /** Null when it is empty. */
  readonly value: Buffer | null;
  /** Time at which the leader received it, in nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** The same time in milliseconds. */
  readonly time: Date;
  /** The NATS subject that it was published on. */
  readonly subject: string;
  /** The NATS reply subject that it was published with, or `''`. */
  readonly replySubject: string;
  /** The headers of the publisher, and `subject` and `reply`. */
  readonly headers: Readonly<Record<string, Buffer>>;
  /** Always `''`: brokers do not send it to subscribers. */
  readonly ackInbox: string;
  /** Always `''`: brokers do not send it to subscribers. */
  readonly correlationId: string;
  /** Always 'leader': brokers do not send it to subscribers. */
  readonly ackPolicy: 'leader' | 'all' | 'none';
  /** The value as UTF-8 text, empty when there is none. */
  text(): string;
  /** The value parsed as JSON. Throws DeserializationError when it is none. */
  json<T>(): T;
  /** All fields as an object of their own, headers and time included, with copies of the bytes. */
  toObject(): ReturnType<Message['toObject']>;
}

/** A stored message from what the log has: what a subscription delivers of it. */
export function storedMessage(stream: string, partition: number, record: LogRecord): StoredMessage {
  const frame = encodeFrame({
    stream,
    partition,
    offset: BigInt(record.offset),
    key: record.key,
    value: record.value,
    timestamp: record.timestamp,
    subject: record.subject,
    replySubject: record.reply,
    headers: record.headers,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
  });
  return decodeMessage(frame, FRAME_PREFIX, frame.length, new ReceivedMessage());
}
