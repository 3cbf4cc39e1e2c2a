import { errorText, messageOf } from './quote.js';

/**
 * Every `code` that an error of this package can have. Match on it rather than on the class when two copies of the
 * package may be loaded.
 */
export type ErrorCode =
  | 'ACK_TIMEOUT'
  | 'AMBIGUOUS_SUBJECT'
  | 'CLOSED'
  | 'CONNECTION'
  | 'CONSUMER_EXISTS'
  | 'CURSORS_DISABLED'
  | 'DESERIALIZATION'
  | 'ENCRYPTION'
  | 'ENVELOPE'
  | 'HANDLER_FAILED'
  | 'INCORRECT_OFFSET'
  | 'INVALID_ARGUMENT'
  | 'MESSAGE_TOO_LARGE'
  | 'NO_OFFSET'
  | 'NO_SUCH_PARTITION'
  | 'NO_SUCH_STREAM'
  | 'PARTITION_PAUSED'
  | 'PERMISSION_DENIED'
  | 'READONLY_PARTITION'
  | 'SERVER'
  | 'STREAM_DELETED'
  | 'STREAM_EXISTS'
  | 'TIMEOUT'
  | 'UNEXPECTED';

/** What a failed call was about. */
export interface ErrorContext {
  /** Name of the stream. */
  readonly stream?: string | undefined;
  /** Id of the partition. */
  readonly partition?: number | undefined;
  /** Offset of the message in its partition. */
  readonly offset?: bigint | undefined;
  /** Id of the broker, or its address where no id is known yet. */
  readonly broker?: string | undefined;
  /** The RPC or the method that was under way. */
  readonly operation?: string | undefined;
}

/** What every error class takes beside its message. @inline */
export interface ErrorDetails extends ErrorContext {
  /** The error beneath. */
  readonly cause?: unknown;
  /** Overrides what the class says of itself, see `LiftbridgeError.retryable`. */
  readonly retryable?: boolean | undefined;
  /** Acks of other streams on the subject of a publish that failed. */
  readonly otherAcks?: readonly object[] | undefined;
}

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

  /** Whether `value` is an error of this package, also one that another loaded copy of it made; with a code, of that kind. */
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
