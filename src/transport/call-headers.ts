import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { CallMetadataError } from '../errors/call-metadata.js';
import { messageOf } from '../errors/quote.js';
import { checkedMetadata } from '../options/call-metadata.js';
import type { CallMetadata, MetadataEntries, ReceivedMetadata } from './metadata.js';

/** The user agent of this client. */
export const USER_AGENT = 'liftbridge-client-node/0.1.0';

/** Where a call goes. */
export interface CallTarget {
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly path: string;
  /** Milliseconds left, when there is a deadline. */
  readonly timeout: number | undefined;
}

/** The request headers of a gRPC call, in the order that gRPC asks for. */
export function requestHeaders(target: CallTarget, metadata: MetadataEntries): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':scheme': target.scheme,
    ':path': target.path,
    ':authority': target.authority,
    te: 'trailers',
    ...(target.timeout === undefined ? {} : { 'grpc-timeout': timeoutHeader(target.timeout) }),
    'content-type': 'application/grpc',
    'user-agent': USER_AGENT,
    ...userMetadata(metadata),
  };
}

function userMetadata(metadata: MetadataEntries): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  try {
    for (const [name, value] of checkedMetadata(metadata))
      headers[name] = typeof value === 'string' ? value : value.toString('base64');
  } catch (cause) {
    throw new CallMetadataError(`the metadata of the call cannot be sent: ${messageOf(cause)}`, true, cause);
  }
  return headers;
}

/**
 * Metadata for one call: a promise only when a function returns one, also a promise of another realm or library. Throws, or
 * rejects with, CallMetadataError when the function fails.
 */
export function callMetadata(metadata: CallMetadata | undefined): MetadataEntries | Promise<MetadataEntries> {
  if (metadata === undefined) return {};
  if (typeof metadata !== 'function') return metadata;
  try {
    const made = metadata();
    if (typeof (made as { then?: unknown } | undefined)?.then !== 'function') return made;
    return Promise.resolve(made).catch((cause: unknown) => {
      throw failed('rejected', cause);
    });
  } catch (cause) {
    throw failed('threw', cause);
  }
}

function failed(how: string, cause: unknown): CallMetadataError {
  return new CallMetadataError(`the metadata function ${how}: ${messageOf(cause)}`, false, cause);
}

/** Milliseconds as gRPC sends them: at most eight digits and a unit, never rounded to a shorter time. */
export function timeoutHeader(milliseconds: number): string {
  let value = Math.max(0, Math.ceil(milliseconds));
  for (const [unit, next] of [
    ['m', 1000],
    ['S', 60],
    ['M', 60],
  ] as const) {
    if (value < 100_000_000) return `${value}${unit}`;
    value = Math.ceil(value / next);
  }
  return `${Math.min(value, 99_999_999)}H`;
}

/** Metadata out of received headers, without HTTP/2's own. */
export function receivedMetadata(headers: IncomingHttpHeaders | undefined): ReceivedMetadata {
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== undefined && !name.startsWith(':'))
      metadata.set(name, Array.isArray(value) ? value.join(',') : value);
  }
  return metadata;
}
