import type { ConnectionErrorReason } from '../errors/error-details.js';
import { errorText, excerpt } from '../errors/quote.js';

/** The gRPC status codes by name. */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a gRPC status code. */
export type StatusName = keyof typeof Status;

const names = new Map<number, StatusName>(Object.entries(Status).map(([name, code]) => [code, name as StatusName]));

/** The name of a status code; a number that gRPC does not define is UNKNOWN. */
export function statusName(code: number): StatusName {
  return names.get(code) ?? 'UNKNOWN';
}

/** Why there is no connection to a peer: the reasons of a ConnectionError, less those that only the layers above know. */
export type ConnectionReason = Exclude<ConnectionErrorReason, 'unavailable' | 'no-broker' | 'no-leader'>;

/** The error that the transport throws: one failed call, or a broker that could not be reached. Upper layers turn it into a LiftbridgeError. */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure';
  /** gRPC status code; see `Status`. */
  readonly code: number;
  /** The server's own text, or the text of the transport. */
  readonly details: string;
  /** False when the server cannot have acted on the call: repeating it is safe. */
  readonly sent: boolean;
  /** Why the connection was not there, when that is what failed. */
  readonly connection: ConnectionReason | undefined;

  constructor(
    code: number,
    details: string,
    context: { readonly sent: boolean; readonly connection?: ConnectionReason | undefined; readonly cause?: unknown },
  ) {
    super(
      errorText(`${statusName(code)}: ${excerpt(details)}`),
      context.cause === undefined ? undefined : { cause: context.cause },
    );
    this.code = code;
    this.details = details;
    this.sent = context.sent;
    this.connection = context.connection;
  }

  /** Name of `code`. */
  get codeName(): StatusName {
    return statusName(this.code);
  }
}

/** The gRPC status for an HTTP answer that carries no `grpc-status`. */
export function statusOfHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return Status.INTERNAL;
    case 401:
      return Status.UNAUTHENTICATED;
    case 403:
      return Status.PERMISSION_DENIED;
    case 404:
      return Status.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.UNAVAILABLE;
    default:
      return Status.UNKNOWN;
  }
}

/** The gRPC status for a stream that its peer reset, by HTTP/2 error code. */
export function statusOfReset(errorCode: number): number {
  switch (errorCode) {
    case 0x7: // REFUSED_STREAM
      return Status.UNAVAILABLE;
    case 0x8: // CANCEL
      return Status.CANCELLED;
    case 0xb: // ENHANCE_YOUR_CALM
      return Status.RESOURCE_EXHAUSTED;
    case 0xc: // INADEQUATE_SECURITY
      return Status.PERMISSION_DENIED;
    default:
      return Status.INTERNAL;
  }
}

const resetNames = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

/** The name of an HTTP/2 error code. */
export function resetName(errorCode: number): string {
  return resetNames[errorCode] ?? `0x${errorCode.toString(16)}`;
}

/** Decodes a percent-encoded `grpc-message`; what is badly encoded stays as it is, since an error text must never be lost. */
export function decodeStatusMessage(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  const bytes: Buffer[] = [];
  let rest = encoded;
  for (;;) {
    const at = rest.search(/%[0-9a-f]{2}/i);
    if (at < 0) break;
    bytes.push(Buffer.from(rest.slice(0, at)), Buffer.from(rest.slice(at + 1, at + 3), 'hex'));
    rest = rest.slice(at + 3);
  }
  bytes.push(Buffer.from(rest));
  return Buffer.concat(bytes).toString('utf8');
}
