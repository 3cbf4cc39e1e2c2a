import type { IncomingHttpHeaders } from 'node:http2';
import { binaryMetadataFault } from './binary-metadata.js';
import { goQuote } from './go-quote.js';
import type { StatusName } from './status.js';

/** The headers of a gRPC request, decoded. */
export interface RequestHead {
  /** Full name of the service, such as `proto.API`. */
  readonly service: string;
  readonly method: string;
  /** Content type of the response. */
  readonly contentType: string;
  /** Timeout of the client in milliseconds; null without one. */
  readonly timeout: number | null;
  /** Name of the encoding of the messages; empty for none. */
  readonly encoding: string;
}

/** The reason why a request is no gRPC call, and the response to it. */
export interface Refusal {
  readonly contentType: string;
  readonly httpStatus: number;
  readonly status: StatusName;
  readonly message: string;
}

const GRPC_CONTENT_TYPE = 'application/grpc';
const TIMEOUT_UNITS: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  S: 1_000,
  M: 60_000,
  H: 3_600_000,
};
/** A shorter timeout has passed before the call is handled. */
const MIN_TIMEOUT_MS = 1e-3;

/**
 * Decodes the headers of a request, with the order of checks and the texts of grpc-go. `raw` holds names and values in
 * turn, as received.
 */
export function readRequestHead(headers: IncomingHttpHeaders, raw: readonly string[]): RequestHead | Refusal {
  const given = headers['content-type'] ?? '';
  const contentType = answeredType(given);
  if (contentType === null)
    return refuse(GRPC_CONTENT_TYPE, 415, 'INVALID_ARGUMENT', `invalid gRPC request content-type ${goQuote(given)}`);
  const fault = headerFault(raw);
  if (fault !== null) return refuse(contentType, 400, 'INTERNAL', fault);
  const verb = headers[':method'] ?? '';
  if (verb !== 'POST')
    return refuse(
      contentType,
      405,
      'INTERNAL',
      `Received a HEADERS frame with :method ${goQuote(verb)} which should be POST`,
    );
  const timeout = lastTimeout(raw);
  if (timeout !== null && timeout < MIN_TIMEOUT_MS)
    return refuse(contentType, 200, 'DEADLINE_EXCEEDED', 'context deadline exceeded');
  const path = headers[':path'] ?? '';
  const slash = path.lastIndexOf('/');
  if (!path.startsWith('/') || slash <= 0)
    return refuse(contentType, 200, 'UNIMPLEMENTED', `malformed method name: ${goQuote(path)}`);
  const encoding = String(headers['grpc-encoding'] ?? '');
  return { service: path.slice(1, slash), method: path.slice(slash + 1), contentType, timeout, encoding };
}

function refuse(contentType: string, httpStatus: number, status: StatusName, message: string): Refusal {
  return { contentType, httpStatus, status, message };
}

/** The content type of the response: the suffix after `+` or `;` in that of the request comes back after a `+`. */
function answeredType(given: string): string | null {
  if (given === GRPC_CONTENT_TYPE) return GRPC_CONTENT_TYPE;
  if (!given.startsWith(`${GRPC_CONTENT_TYPE}+`) && !given.startsWith(`${GRPC_CONTENT_TYPE};`)) return null;
  const subtype = given.slice(GRPC_CONTENT_TYPE.length + 1);
  return subtype === '' ? GRPC_CONTENT_TYPE : `${GRPC_CONTENT_TYPE}+${subtype}`;
}

/** The error of the last malformed header; null when all are well-formed. */
function headerFault(raw: readonly string[]): string | null {
  let fault: string | null = null;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (name !== 'grpc-timeout') fault = binaryMetadataFault(name, value) ?? fault;
    else {
      const timeout = readTimeout(value);
      if (typeof timeout === 'string') fault = `malformed grpc-timeout: ${timeout}`;
    }
  }
  return fault;
}

/** Milliseconds of the last well-formed timeout; null without one. */
function lastTimeout(raw: readonly string[]): number | null {
  const at = raw.lastIndexOf('grpc-timeout');
  return at === -1 ? null : Number(readTimeout(raw[at + 1]!));
}

/** The timeout in milliseconds, or the error of the text. */
function readTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${goQuote(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${goQuote(text)}`;
  const unit = TIMEOUT_UNITS[text.at(-1)!];
  if (unit === undefined) return `transport: timeout unit is not recognized: ${goQuote(text)}`;
  const digits = text.slice(0, -1);
  if (!/^\d+$/.test(digits)) return `strconv.ParseUint: parsing ${goQuote(digits)}: invalid syntax`;
  return Number(digits) * unit;
}
