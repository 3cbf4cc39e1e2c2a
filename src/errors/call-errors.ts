import { type ErrorDetails, LiftbridgeError } from './root.js';

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
