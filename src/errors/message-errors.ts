import { type ErrorDetails, LiftbridgeError } from './root.js';

/**
 * No ack came in time, so nobody knows whether the message was stored. `otherAcks` are the acks of other streams on
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

/** What is wrong with bytes that should be an envelope. */
export type EnvelopeErrorReason =
  | 'too-short'
  | 'bad-magic'
  | 'unknown-version'
  | 'wrong-type'
  | 'bad-header-length'
  | 'checksum'
  | 'payload';

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
