import { excerpt } from '../errors/quote.js';

import { type ConnectionReason, RpcFailure, Status } from './status.js';

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
  if (alertName(code) !== null) return 'tls-rejected';
  if (code.startsWith('ERR_HTTP2')) return 'protocol';
  if (/^ERR_(SSL|TLS|OSSL|CRYPTO)/.test(code)) return 'tls-config';
  return 'lost';
}

/** Explanations of the TLS alerts of a peer, by the end of OpenSSL's name for them. */
const alertHints: Readonly<Record<string, string>> = {
  CERTIFICATE_REQUIRED: 'it wants a client certificate; give tls.cert and tls.key',
  HANDSHAKE_FAILURE: 'it found no common TLS settings, or it wants a client certificate (tls.cert and tls.key)',
  CERTIFICATE_EXPIRED: 'it says that the client certificate has expired or is not yet valid; renew tls.cert',
  CERTIFICATE_REVOKED: 'it says that the client certificate was revoked; replace tls.cert and tls.key',
  UNKNOWN_CA: 'it does not trust the CA of the client certificate; give a tls.cert that its CA has signed',
  BAD_CERTIFICATE: 'it refused the client certificate, or wants one; check tls.cert and tls.key',
  CERTIFICATE_UNKNOWN: 'it refused the client certificate; check tls.cert and tls.key',
  UNSUPPORTED_CERTIFICATE: 'it does not support the kind of the client certificate; give another tls.cert and tls.key',
  ACCESS_DENIED: 'it denies access to the client certificate',
  UNRECOGNIZED_NAME: 'it serves no host of this name; set tls.servername',
  PROTOCOL_VERSION: 'it speaks no TLS version that this client speaks',
};

/** The name of the TLS alert that the peer sent, from OpenSSL's code for it; null when there was no alert. */
function alertName(code: string): string | null {
  const match = /^ERR_SSL_(?:SSLV3|TLSV1\d?)_(?:ALERT_)?(?<name>\w+)$/.exec(code);
  return match?.groups?.name ?? null;
}

function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  // Several addresses of one name were tried: the first failure is the one to report.
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const explanations: Readonly<Record<ConnectionReason, string>> = {
  refused: 'no process listens there',
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
  'tls-rejected': 'it refused the TLS handshake; check the client certificate (tls.cert and tls.key)',
  'tls-config': 'the given certificate, key or passphrase cannot be used',
};

/** A failure to reach `address`, or the loss of the connection to it. */
export function connectionFailure(
  address: string,
  reason: ConnectionReason,
  context: { readonly sent: boolean; readonly cause?: unknown; readonly note?: string },
): RpcFailure {
  const cause = context.cause;
  const text = (context.note ?? (cause instanceof Error ? causeText(cause) : ''))?.replace(` ${address}`, '');
  const alert = reason === 'tls-rejected' ? alertName(errorCode(cause)) : null;
  const explanation = alertHints[alert ?? ''] ?? explanations[reason];
  const details = `${excerpt(address)}: ${explanation}${text ? ` (${excerpt(text)})` : ''}`;
  return new RpcFailure(Status.UNAVAILABLE, details, { sent: context.sent, connection: reason, cause });
}

function causeText(error: Error): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  // OpenSSL's messages hold memory addresses, source files and line breaks; its reason is the part to read.
  if ('reason' in error && typeof error.reason === 'string' && 'library' in error) return error.reason;
  return error.message;
}
