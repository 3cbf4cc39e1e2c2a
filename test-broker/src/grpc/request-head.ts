import type { IncomingHttpHeaders } from 'node:http2';
import type { StatusName } from './status.js';

/** What the headers of a request say, when they are those of a gRPC call. */
export interface RequestHead {
  /** Full name of the service, such as `proto.API`. */
  readonly service: string;
  readonly method: string;
  /** Content type of the answer: that of the request, without parameters. */
  readonly contentType: string;
  /** Milliseconds that the client waits; null without a limit. */
  readonly timeout: number | null;
}

/** Why a request is no gRPC call, and what it is answered with. */
export interface Refusal {
  readonly httpStatus: number;
  readonly status: StatusName;
  readonly message: string;
}

const CONTENT_TYPE = /^application\/grpc(?:[+;].*)?$/i;
const TIMEOUT_UNITS: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  S: 1_000,
  M: 60_000,
  H: 3_600_000,
};

/** Reads the headers of a request, in the order of checks of grpc-go and with its texts. */
export function readRequestHead(headers: IncomingHttpHeaders): RequestHead | Refusal {
  const contentType = headers['content-type'] ?? '';
  if (!CONTENT_TYPE.test(contentType))
    return refuse(415, 'INVALID_ARGUMENT', `invalid gRPC request content-type ${JSON.stringify(contentType)}`);
  const timeout = readTimeout(headers['grpc-timeout']);
  if (typeof timeout === 'string') return refuse(400, 'INTERNAL', `malformed grpc-timeout: ${timeout}`);
  const verb = headers[':method'] ?? '';
  if (verb !== 'POST')
    return refuse(
      405,
      'INTERNAL',
      `Received a HEADERS frame with :method ${JSON.stringify(verb)} which should be POST`,
    );
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== '' && encoding !== 'identity')
    return refuse(
      200,
      'UNIMPLEMENTED',
      `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(encoding)}`,
    );
  return readPath(headers[':path'] ?? '', contentType.replace(/;.*/, ''), timeout);
}

function readPath(path: string, contentType: string, timeout: number | null): RequestHead | Refusal {
  const slash = path.lastIndexOf('/');
  if (!path.startsWith('/') || slash <= 0)
    return refuse(200, 'UNIMPLEMENTED', `malformed method name: ${JSON.stringify(path)}`);
  return { service: path.slice(1, slash), method: path.slice(slash + 1), contentType, timeout };
}

function refuse(httpStatus: number, status: StatusName, message: string): Refusal {
  return { httpStatus, status, message };
}

/** Milliseconds, null without a limit, or what is wrong with the text. */
function readTimeout(header: string | string[] | undefined): number | null | string {
  if (header === undefined) return null;
  const text = String(header);
  if (text.length < 2) return `transport: timeout string is too short: ${JSON.stringify(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${JSON.stringify(text)}`;
  const unit = TIMEOUT_UNITS[text.at(-1)!];
  if (unit === undefined) return `transport: timeout unit is not recognized: ${JSON.stringify(text)}`;
  const digits = text.slice(0, -1);
  if (!/^\d+$/.test(digits)) return `strconv.ParseUint: parsing ${JSON.stringify(digits)}: invalid syntax`;
  return Number(digits) * unit;
}
