import type { ConnectionReason } from './connection-reason.js';
import { RpcFailure, Status } from './status.js';

const reasons: Readonly<Record<string, ConnectionReason>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ECONNRESET: 'lost',
  EPIPE: 'lost',
  CERT_HAS_EXPIRED: 'tls-expired',
  CERT_NOT_YET_VALID: 'tls-expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls-hostname',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls-untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls-untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls-untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'tls-untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls-untrusted',
  CERT_SIGNATURE_FAILURE: 'tls-untrusted',
  CERT_UNTRUSTED: 'tls-untrusted',
  CERT_REJECTED: 'tls-untrusted',
  CERT_REVOKED: 'tls-untrusted',
  CERT_CHAIN_TOO_LONG: 'tls-untrusted',
  INVALID_CA: 'tls-untrusted',
  INVALID_PURPOSE: 'tls-untrusted',
  ERR_SSL_WRONG_VERSION_NUMBER: 'tls-not-spoken',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'tls-not-spoken',
  ERR_SSL_HTTP_REQUEST: 'tls-not-spoken',
  ERR_SSL_UNEXPECTED_MESSAGE: 'tls-not-spoken',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'protocol',
};

/** The reason behind an error of `node:net`, `node:tls` or `node:http2`. */
export function connectionReason(error: unknown): ConnectionReason {
  const code = errorCode(error);
  const known = reasons[code];
  if (known !== undefined) return known;
  // The peer's own word: it understood the handshake and refused it.
  if (/^ERR_SSL_.*ALERT/.test(code)) return 'tls-rejected';
  if (code.startsWith('ERR_HTTP2')) return 'protocol';
  if (/^ERR_(SSL|TLS|OSSL|CRYPTO)/.test(code)) return 'tls-config';
  return 'lost';
}

function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  // Several addresses of one name were tried: the first failure speaks for all.
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const explanations: Readonly<Record<ConnectionReason, string>> = {
  refused: 'nobody listens there',
  unreachable: 'the host cannot be reached or its name does not resolve',
  timeout: 'it did not answer in time',
  lost: 'the connection was lost',
  closed: 'the connection was closed by this client',
  protocol: 'it does not speak gRPC over HTTP/2',
  'tls-untrusted': 'its certificate is not of a trusted CA; give the CA as tls.ca',
  'tls-hostname': 'its certificate is for another host; connect by a name that it covers or give tls.servername',
  'tls-expired': 'its certificate is expired or not yet valid',
  'tls-not-spoken': 'it does not speak TLS; connect without tls',
  'tls-required': 'it speaks TLS only; connect with tls',
  'tls-rejected': 'it refused the TLS handshake; it may want a client certificate (tls.cert and tls.key)',
  'tls-config': 'the given certificate, key or passphrase cannot be used',
};

/** A failure to reach `address`, or the loss of the connection to it. */
export function connectionFailure(
  address: string,
  reason: ConnectionReason,
  context: { readonly sent: boolean; readonly cause?: unknown; readonly note?: string },
): RpcFailure {
  const cause = context.cause;
  const text = context.note ?? (cause instanceof Error ? causeText(cause) : undefined);
  const details = `${address}: ${explanations[reason]}${text ? ` (${text})` : ''}`;
  return new RpcFailure(Status.UNAVAILABLE, details, { sent: context.sent, connection: reason, cause });
}

function causeText(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  // OpenSSL's messages hold memory addresses, source files and line breaks; its reason is the part to read.
  if ('reason' in error && typeof error.reason === 'string' && 'library' in error) return error.reason;
  return error.message;
}
