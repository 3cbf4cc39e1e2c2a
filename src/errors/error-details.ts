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

/** Why there is no connection to a broker, or no broker to talk to. */
export type ConnectionErrorReason =
  /** Nothing listens at the address. */
  | 'refused'
  /** No route to the address, the name does not resolve, or it is no address. */
  | 'unreachable'
  /** The peer did not answer in time. */
  | 'timeout'
  /** The connection broke. */
  | 'lost'
  /** This side closed the connection. */
  | 'closed'
  /** What the peer speaks is not gRPC. */
  | 'protocol'
  /** The broker, or something in front of it, said that it is unavailable. */
  | 'unavailable'
  /** No broker is left to try. */
  | 'no-broker'
  /** The partition has no leader at the moment. */
  | 'no-leader'
  /** The certificate of the broker is not signed by a trusted CA. */
  | 'tls-untrusted'
  /** The certificate of the broker is for another host. */
  | 'tls-hostname'
  /** The certificate of the broker has expired, or is not valid yet. */
  | 'tls-expired'
  /** The broker does not speak TLS. */
  | 'tls-not-spoken'
  /** The broker speaks TLS and this client does not. */
  | 'tls-required'
  /** The broker refused the TLS handshake or the client certificate; the message says what its TLS alert asks for. */
  | 'tls-rejected'
  /** The key, certificate or passphrase of this client cannot be used. */
  | 'tls-config';

/** What is wrong with bytes that should be an envelope. */
export type EnvelopeErrorReason =
  | 'too-short'
  | 'bad-magic'
  | 'unknown-version'
  | 'wrong-type'
  | 'bad-header-length'
  | 'checksum'
  | 'payload';
