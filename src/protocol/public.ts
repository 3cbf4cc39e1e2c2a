import type { AckPolicy } from './ack-policy.js';

/**
 * A message of a stream. go-liftbridge: `Message`.
 *
 * `key`, `value` and header values are views of the network buffer that brought the message, not copies: keep
 * `Buffer.from(message.value)` rather than the view when a few messages out of many are kept for long.
 */
export interface Message {
  /** Where it stands in its partition. In an envelope on its way to a stream: the expected offset, `-1n` for none. */
  readonly offset: bigint;
  /** `null` when there is none; brokers and encoders here take an empty one for none. */
  readonly key: Buffer | null;
  /** `null` when there is none; brokers and encoders here take an empty one for none. */
  readonly value: Buffer | null;
  /** When the broker received it, in nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** The same to the millisecond; a new `Date` on every read. */
  readonly time: Date;
  /** The stream that it was read from. */
  readonly stream: string;
  /** The partition that it was read from. */
  readonly partition: number;
  /** The NATS subject that it was published to. */
  readonly subject: string;
  /** The NATS reply subject that it was published with, or `''`. */
  readonly replySubject: string;
  /**
   * User headers, and the `subject` and `reply` that a broker adds. No prototype: any name is safe to look up. Throws
   * DeserializationError (DESERIALIZATION) when they are damaged.
   */
  readonly headers: Readonly<Record<string, Buffer>>;
  /** Only in envelopes, as are the next two: brokers do not store them. */
  readonly ackInbox: string;
  /** The publisher's id for it, or `''`. */
  readonly correlationId: string;
  /** How the publisher wants it acknowledged. */
  readonly ackPolicy: AckPolicy;
  /** The value as UTF-8 text, `''` when there is none. */
  text(): string;
  /** The value parsed as JSON. Throws DeserializationError (DESERIALIZATION) when it is none. */
  json<T>(): T;
  /**
   * All fields as an object of their own, headers and time included, with copies of the bytes: for keeping, `structuredClone`,
   * workers and comparisons. Throws DeserializationError (DESERIALIZATION) when the headers are damaged.
   */
  toObject(): MessageObject;
}

/** What `message.toObject()` returns. @inline */
export type MessageObject = Omit<Message, 'text' | 'json' | 'toObject'>;

/** Why a broker did not store a message; `'ok'` when it did. A number without a name reads as `'unknown'`. */
export type AckError = 'ok' | 'unknown' | 'incorrect-offset' | 'too-large' | 'encryption';

/** A broker's answer to one message, from one stream. go-liftbridge: `Ack`. */
export interface Ack {
  /** The stream that answers. */
  readonly stream: string;
  /** The partition that stored the message; -1 where only the subject of a wildcard stream is known. */
  readonly partition: number;
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

/** The fields of an ack to be written, all optional. The subjects tell the partition, so that a `partition` is left out of account. */
export type AckFields = {
  /** Not written. */
  readonly partition?: number | undefined;
} & {
  readonly [Name in Exclude<keyof Ack, 'partition'>]?:
    | (Ack[Name] extends bigint ? bigint | number : Ack[Name])
    | undefined;
};
