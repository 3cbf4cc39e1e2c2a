import { decodeAckFields, encodeAckFields } from './ack.js';
import type { ByteWriter } from './byte-writer.js';
import type { Ack, PublishAsyncError, PublishAsyncError_Code, PublishResponse } from './generated/api.js';
import { type TextSource, WireReader } from './wire-reader.js';

/** Writes a PublishResponse, without a frame around it. */
export function encodePublishResponse(writer: ByteWriter, response: PublishResponse): void {
  if (response.ack) {
    writer.byte(0x0a);
    const part = writer.openPart();
    encodeAckFields(writer, response.ack);
    writer.closePart(part);
  }
  if (response.asyncError) {
    writer.byte(0x12);
    const part = writer.openPart();
    encodeError(writer, response.asyncError);
    writer.closePart(part);
  }
  if (response.correlationId !== '') {
    writer.byte(0x1a);
    writer.string(response.correlationId);
  }
}

function encodeError(writer: ByteWriter, error: PublishAsyncError): void {
  if (error.code !== 0) {
    writer.byte(0x08);
    writer.int32(error.code);
  }
  if (error.message !== '') {
    writer.byte(0x12);
    writer.string(error.message);
  }
}

const reader = new WireReader();

/** Reads a PublishResponse; `ids` may know its correlation ids. Throws WireError on bytes that are none. */
export function decodePublishResponse(
  source: Buffer,
  start = 0,
  end = source.length,
  ids?: TextSource,
): PublishResponse {
  reader.open(source, start, end);
  const response: PublishResponse = { ack: undefined, asyncError: undefined, correlationId: '' };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) response.ack = decodeAck(ids);
    else if (tag === 0x12) response.asyncError = decodeError();
    else if (tag === 0x1a) response.correlationId = reader.string(false, ids);
    else reader.skip(tag);
  }
  return response;
}

function decodeAck(ids: TextSource | undefined): Ack {
  const outerEnd = enterPart();
  const ack = decodeAckFields(reader, false, ids);
  reader.end = outerEnd;
  return ack;
}

/** Bounds the reader to the message that begins here; answers the end of what is around it. */
function enterPart(): number {
  const size = reader.length();
  const outerEnd = reader.end;
  reader.end = reader.position + size;
  return outerEnd;
}

function decodeError(): PublishAsyncError {
  const outerEnd = enterPart();
  const error: PublishAsyncError = { code: 0, message: '' };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) error.code = reader.int32() as PublishAsyncError_Code;
    else if (tag === 0x12) error.message = reader.string();
    else reader.skip(tag);
  }
  reader.end = outerEnd;
  return error;
}
