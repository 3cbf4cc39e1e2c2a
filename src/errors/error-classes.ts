import { jsonFields } from '../protocol/json.js';
import type { ConnectionErrorReason, EnvelopeErrorReason, ErrorCode, ErrorDetails } from './error-details.js';
import { errorText, messageOf } from './quote.js';

const BRAND = Symbol.for('liftbridge-client.error');

function hasBrand(value: object): boolean {
  try {
    return BRAND in value;
  } catch {
    // A proxy that does not let itself be looked at is no error of ours.
    return false;
  }
}

/** The root of every error that this package rejects with, throws or reports. */
export abstract class LiftbridgeError extends Error {
  /** The name of the class. */
  abstract override readonly name: string;
  /** What kind of error it is; never another library's code. */
  abstract readonly code: ErrorCode;
  /** Whether the same call may succeed later without the caller changing anything. It may also have been carried out. */
  readonly retryable: boolean;
  /** The stream concerned. */
  declare readonly stream?: string;
  /** The partition concerned. */
  declare readonly partition?: number;
  /** The offset of the message concerned. */
  declare readonly offset?: bigint;
  /** The broker concerned. */
  declare readonly broker?: string;
  /** The RPC or method that failed. */
  declare readonly operation?: string;
  /** Of a publish to a subject of several streams: the acks of those that stored it, in order of arrival. */
  declare readonly otherAcks?: readonly object[];

  constructor(message: string, details: ErrorDetails = {}) {
    super(errorText(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.retryable = details.retryable ?? false;
    if (details.stream !== undefined) this.stream = details.stream;
    if (details.partition !== undefined) this.partition = details.partition;
    if (details.offset !== undefined) this.offset = details.offset;
    if (details.broker !== undefined) this.broker = details.broker;
    if (details.operation !== undefined) this.operation = details.operation;
    if (details.otherAcks !== undefined) this.otherAcks = details.otherAcks;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Name, code, message and context as `Json` describes them, the cause as its text, and no stack. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, cause } = this;
    const text = cause === undefined ? {} : { cause: messageOf(cause) };
    const fields = Object.assign({ name, code, message }, this, text);
    return jsonFields(Object.entries(fields));
  }

  /** Whether `value` is an error of this package, also one that another loaded copy of it made. */
  static is(value: unknown): value is LiftbridgeError;
  /** Whether `value` is an error of this package with that code. TypeScript knows its class then. */
  static is<Code extends ErrorCode>(value: unknown, code: Code): value is ErrorWithCode<Code>;
  static is(value: unknown, code?: ErrorCode): value is LiftbridgeError {
    if (typeof value !== 'object' || value === null || !hasBrand(value)) return false;
    return code === undefined || (value as unknown as LiftbridgeError).code === code;
  }

  /** `value` itself when it is an error of this package, else an `UnexpectedError` around it. */
  static from(value: unknown, details: ErrorDetails = {}): LiftbridgeError {
    if (LiftbridgeError.is(value)) return value;
    const text = messageOf(value);
    const attempted = details.operation === undefined ? '' : `${details.operation} failed: `;
    return new UnexpectedError(`${attempted}${text}`, { ...details, cause: value });
  }
}

/** Something failed that has no class of its own; `cause` is what was thrown. Most likely a defect: please report it. */
export class UnexpectedError extends LiftbridgeError {
  override readonly name = 'UnexpectedError';
  readonly code = 'UNEXPECTED';
}

/** There is no working connection to the broker that the call needs. */
export class ConnectionError extends LiftbridgeError {
  override readonly name = 'ConnectionError';
  readonly code = 'CONNECTION';
  /** What went wrong. */
  readonly reason: ConnectionErrorReason;
  /** 'not-sent' when the request certainly did not leave; 'unknown' when it may have been carried out. */
  readonly outcome: 'unknown' | 'not-sent';

  constructor(
    message: string,
    details: ErrorDetails & { readonly reason: ConnectionErrorReason; readonly outcome?: 'unknown' | 'not-sent' },
  ) {
    super(message, { retryable: !details.reason.startsWith('tls-'), ...details });
    this.reason = details.reason;
    this.outcome = details.outcome ?? 'unknown';
  }
}

/** The client, the subscription or the consumer is closed. */
export class ClosedError extends LiftbridgeError {
  override readonly name = 'ClosedError';
  readonly code = 'CLOSED';
}

/** The call did not end within its timeout; it may have been carried out. */
export class TimeoutError extends LiftbridgeError {
  override readonly name = 'TimeoutError';
  readonly code = 'TIMEOUT';

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { retryable: true, ...details });
  }
}

/** An argument or option is not allowed. Found before anything is sent, or by the server. */
export class InvalidArgumentError extends LiftbridgeError {
  override readonly name = 'InvalidArgumentError';
  readonly code = 'INVALID_ARGUMENT';
}

/** The server does not let this client do that. */
export class PermissionDeniedError extends LiftbridgeError {
  override readonly name = 'PermissionDeniedError';
  readonly code = 'PERMISSION_DENIED';
}

/** A function that the application gave threw: a partitioner, `resolveBroker`, a callback, the handler of a consumer. */
export class HandlerError extends LiftbridgeError {
  override readonly name = 'HandlerError';
  readonly code = 'HANDLER_FAILED';
}

/** The server answered with a status that has no class of its own. */
export class ServerError extends LiftbridgeError {
  override readonly name = 'ServerError';
  readonly code = 'SERVER';
  /** Name of the gRPC status, such as 'INTERNAL', or of the PublishAsync error. */
  readonly status: string;
  /** What the server said, word for word. */
  readonly text: string;

  constructor(message: string, details: ErrorDetails & { readonly status: string; readonly text: string }) {
    super(message, details);
    this.status = details.status;
    this.text = details.text;
  }
}

/** A stream of that name exists already. go-liftbridge: `ErrStreamExists`. */
export class StreamExistsError extends LiftbridgeError {
  override readonly name = 'StreamExistsError';
  readonly code = 'STREAM_EXISTS';
}

/** The cluster knows no stream of that name. go-liftbridge: `ErrNoSuchStream`. */
export class NoSuchStreamError extends LiftbridgeError {
  override readonly name = 'NoSuchStreamError';
  readonly code = 'NO_SUCH_STREAM';
}

/** The stream has no such partition, or does not exist. go-liftbridge: `ErrNoSuchPartition`. */
export class NoSuchPartitionError extends LiftbridgeError {
  override readonly name = 'NoSuchPartitionError';
  readonly code = 'NO_SUCH_PARTITION';
}

/** The stream was deleted while it was being read. go-liftbridge: `ErrStreamDeleted`. */
export class StreamDeletedError extends LiftbridgeError {
  override readonly name = 'StreamDeletedError';
  readonly code = 'STREAM_DELETED';
}

/** The partition is paused, or was paused while it was being read. go-liftbridge: `ErrPartitionPaused`. */
export class PartitionPausedError extends LiftbridgeError {
  override readonly name = 'PartitionPausedError';
  readonly code = 'PARTITION_PAUSED';
}

/** The partition takes no messages, or its end was reached by a reader. go-liftbridge: `ErrReadonlyPartition`. */
export class ReadonlyPartitionError extends LiftbridgeError {
  override readonly name = 'ReadonlyPartitionError';
  readonly code = 'READONLY_PARTITION';
}

/** Several streams listen on the subject and the call needs exactly one of them. */
export class AmbiguousSubjectError extends LiftbridgeError {
  override readonly name = 'AmbiguousSubjectError';
  readonly code = 'AMBIGUOUS_SUBJECT';
}

/** The server keeps no cursors: its `cursors.stream.partitions` is 0. */
export class CursorsDisabledError extends LiftbridgeError {
  override readonly name = 'CursorsDisabledError';
  readonly code = 'CURSORS_DISABLED';
}

/** A consumer of that id is already a member of the group, or this consumer is already subscribed. */
export class ConsumerExistsError extends LiftbridgeError {
  override readonly name = 'ConsumerExistsError';
  readonly code = 'CONSUMER_EXISTS';
}

/** The group has no offset for a partition and `autoOffset` is 'none'. */
export class NoOffsetError extends LiftbridgeError {
  override readonly name = 'NoOffsetError';
  readonly code = 'NO_OFFSET';
}

/**
 * No ack came in time, so it is unknown whether the message was stored. `otherAcks` are the acks of other streams on
 * the same subject that did come. go-liftbridge: `ErrAckTimeout`.
 */
export class AckTimeoutError extends LiftbridgeError {
  override readonly name = 'AckTimeoutError';
  readonly code = 'ACK_TIMEOUT';
  /** Acks of other streams that carried the same correlation id, in order of arrival. */
  declare readonly otherAcks: readonly object[];

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { retryable: true, ...details, otherAcks: details.otherAcks ?? [] });
  }
}

/** `expectedOffset` is not the offset that the message would get. Only with optimistic concurrency control. */
export class IncorrectOffsetError extends LiftbridgeError {
  override readonly name = 'IncorrectOffsetError';
  readonly code = 'INCORRECT_OFFSET';
}

/** The message is larger than the client, gRPC, NATS or replication allows. */
export class MessageTooLargeError extends LiftbridgeError {
  override readonly name = 'MessageTooLargeError';
  readonly code = 'MESSAGE_TOO_LARGE';
}

/** The server could not encrypt the message. */
export class EncryptionError extends LiftbridgeError {
  override readonly name = 'EncryptionError';
  readonly code = 'ENCRYPTION';
}

/** A message that was read does not hold what was asked of it: its value is no JSON text, or its headers are damaged. */
export class DeserializationError extends LiftbridgeError {
  override readonly name = 'DeserializationError';
  readonly code = 'DESERIALIZATION';
}

/** The bytes are no Liftbridge envelope of the kind that was asked for. */
export class EnvelopeError extends LiftbridgeError {
  override readonly name = 'EnvelopeError';
  readonly code = 'ENVELOPE';
  /** The first check that failed. */
  readonly reason: EnvelopeErrorReason;

  constructor(message: string, details: ErrorDetails & { readonly reason: EnvelopeErrorReason }) {
    super(message, details);
    this.reason = details.reason;
  }
}

/** The error class of a code: `ErrorWithCode<'CONNECTION'>` is `ConnectionError`. */
export type ErrorWithCode<Code extends ErrorCode> = Extract<
  | UnexpectedError
  | ConnectionError
  | ClosedError
  | TimeoutError
  | InvalidArgumentError
  | PermissionDeniedError
  | HandlerError
  | ServerError
  | StreamExistsError
  | NoSuchStreamError
  | NoSuchPartitionError
  | StreamDeletedError
  | PartitionPausedError
  | ReadonlyPartitionError
  | AmbiguousSubjectError
  | CursorsDisabledError
  | ConsumerExistsError
  | NoOffsetError
  | AckTimeoutError
  | IncorrectOffsetError
  | MessageTooLargeError
  | EncryptionError
  | DeserializationError
  | EnvelopeError,
  Record<'code', Code>
>;
