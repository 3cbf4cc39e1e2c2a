import type { IncomingHttpHeaders } from 'node:http2';
import { monotonicNow } from '../async/clock.js';
import type { Waiting } from '../async/deadline.js';
import { excerpt } from '../errors/quote.js';
import { receivedMetadata } from './call-headers.js';

import type { MetadataEntries, ReceivedMetadata } from './metadata.js';
import {
  type ConnectionReason,
  decodeStatusMessage,
  type RpcFailure,
  resetName,
  Status,
  type StatusName,
  statusName,
  statusOfHttp,
  statusOfReset,
} from './status.js';

/** How a stream ended. */
export interface StreamEnd {
  /** gRPC status code; 0 is a clean end. */
  readonly code: number;
  /** Name of `code`. */
  readonly codeName: StatusName;
  /** The server's text, decoded, or the text of the transport. */
  readonly message: string;
  /** Leading metadata, empty when none came. */
  readonly headers: ReceivedMetadata;
  /** Trailing metadata, empty when none came. */
  readonly trailers: ReceivedMetadata;
  /** True when the status was made on this side (connection lost, reset, deadline, cancel), false when the server sent it. */
  readonly transport: boolean;
  /** False when the server cannot have acted on the call: it may be repeated without doubt. */
  readonly processed: boolean;
  /** The HTTP status of a response that is none of gRPC, as a proxy sends it in place of the server. */
  readonly httpStatus?: number;
  /** Why the connection was not there, when that is what ended the stream. */
  readonly connection?: ConnectionReason;
  /** The error beneath, where there is one. */
  readonly cause?: unknown;
}

/** Options of one call, unary or not. */
export interface RpcOptions extends Waiting {
  /** Metadata of this call, besides that of the session. */
  readonly metadata?: MetadataEntries | undefined;
}

/** Options of one stream. `timeout` is sent as `grpc-timeout` and enforced here, `signal` cancels the stream. Default: no limit. */
export interface OpenOptions extends RpcOptions {
  /** Point in time, as of `monotonicNow()`, at which the stream must have ended; the earlier of this and `timeout` counts. */
  readonly deadline?: number | undefined;
  /** Largest message to accept, in bytes; default: the session's `maxReceiveBytes`. */
  readonly maxMessageBytes?: number | undefined;
}

/** When a stream with these options must have ended, as of `monotonicNow()`; undefined for no limit. */
export function deadlineOf({ timeout, deadline }: OpenOptions): number | undefined {
  if (timeout === undefined) return deadline;
  return Math.min(deadline ?? Number.POSITIVE_INFINITY, monotonicNow() + timeout);
}

/** Headers and trailers that came before the end. */
export interface Received {
  readonly headers?: IncomingHttpHeaders | undefined;
  readonly trailers?: IncomingHttpHeaders | undefined;
}

/** An end that was made on this side. */
export function transportEnd(
  code: number,
  message: string,
  processed: boolean,
  received: Received = {},
  origin: { readonly connection?: ConnectionReason | undefined; readonly cause?: unknown } = {},
): StreamEnd {
  const { connection, cause } = origin;
  return {
    code,
    codeName: statusName(code),
    message,
    headers: receivedMetadata(received.headers),
    trailers: receivedMetadata(received.trailers),
    transport: true,
    processed,
    ...(connection === undefined ? {} : { connection }),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** The end of a stream whose connection went away or never was there. */
export function lostEnd(failure: RpcFailure, processed: boolean, received: Received = {}): StreamEnd {
  return transportEnd(failure.code, failure.details, processed, received, failure);
}

/** The end of a stream that its peer reset. REFUSED_STREAM is a promise that nothing was done. */
export function resetEnd(errorCode: number, received: Received): StreamEnd {
  const message = `stream reset by the server: ${resetName(errorCode)}`;
  return transportEnd(statusOfReset(errorCode), message, errorCode !== 0x7, received);
}

/** The end of a stream that was read to its last byte. */
export function serverEnd(received: Received): StreamEnd {
  const source = received.trailers ?? received.headers;
  const status = statusHeader(source);
  if (status === undefined) return withoutStatus(received);
  return {
    code: status,
    codeName: statusName(status),
    message: decodeStatusMessage(String(source?.['grpc-message'] ?? '')),
    headers: receivedMetadata(received.headers),
    trailers: receivedMetadata(source),
    transport: false,
    processed: true,
  };
}

function statusHeader(headers: IncomingHttpHeaders | undefined): number | undefined {
  const text = headers?.['grpc-status'];
  if (text === undefined) return undefined;
  return /^\d{1,3}$/.test(String(text)) ? Number(text) : Status.UNKNOWN;
}

function withoutStatus(received: Received): StreamEnd {
  const refusal = refusedResponse(received);
  if (refusal !== undefined) return refusal;
  const what = received.trailers === undefined ? 'without trailers' : 'with trailers that hold no grpc-status';
  return transportEnd(Status.INTERNAL, `the server ended the stream ${what}`, true, received);
}

/** The end for leading headers that no gRPC server sends, or undefined. */
export function refusedResponse(received: Received): StreamEnd | undefined {
  const { headers } = received;
  if (headers === undefined || headers['grpc-status'] !== undefined) return undefined;
  const status = Number(headers[':status']);
  const type = headers['content-type'];
  if (status === 200 && type !== undefined && /^application\/grpc(?:[+;]|$)/.test(type)) return undefined;
  const message = `the server answered HTTP ${status} with content-type ${type === undefined ? '(none)' : excerpt(type)} instead of gRPC`;
  const code = status === 200 ? Status.UNKNOWN : statusOfHttp(status);
  return { ...transportEnd(code, message, true, received), httpStatus: status };
}
