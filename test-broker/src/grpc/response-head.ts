import type { OutgoingHttpHeaders, ServerStreamResponseOptions } from 'node:http2';
import { Status, type StatusName } from './status.js';

/** Longer texts are truncated: a client that refuses the header block would lose its connection. */
const MAX_STATUS_MESSAGE_BYTES = 8 * 1024;

/** The content type of gRPC, without the name of an encoding. */
const CONTENT_TYPE = 'application/grpc';

// Node adds a date to every response by default; servers of gRPC send none.
/** How to respond when messages and trailers follow. */
export const STREAMED = { waitForTrailers: true, sendDate: false } as ServerStreamResponseOptions;
/** How to respond when nothing follows. */
export const STATUS_ONLY = { endStream: true, sendDate: false } as ServerStreamResponseOptions;

/** The headers before the first message of a response. */
export function responseHeaders(contentType: string): OutgoingHttpHeaders {
  return { ':status': 200, 'content-type': contentType };
}

/** The headers of a response that consists of its status alone. */
export function statusOnlyHeaders(
  status: StatusName,
  message: string,
  contentType = CONTENT_TYPE,
  httpStatus = 200,
): OutgoingHttpHeaders {
  return { ':status': httpStatus, 'content-type': contentType, ...statusTrailers(status, message) };
}

/** The trailers of a response. The message is present even when it is empty, as with grpc-go. */
export function statusTrailers(status: StatusName, message: string): OutgoingHttpHeaders {
  return { 'grpc-status': String(Status[status]), 'grpc-message': encodeMessage(message) };
}

/** Percent-encodes the UTF-8 bytes of everything but printable ASCII. */
function encodeMessage(message: string): string {
  if (message.length <= MAX_STATUS_MESSAGE_BYTES && !/[^ -$&-~]/.test(message)) return message;
  let encoded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    if (encoded.length > MAX_STATUS_MESSAGE_BYTES) break;
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
