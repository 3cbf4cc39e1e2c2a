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

/** Reads a PublishResponse. Throws WireError on bytes that are none. */
export function decodePublishResponse(source: Buffer, start = 0, end = source.length): PublishResponse {
  reader.open(source, start, end);
  const response: PublishResponse = { ack: undefined, asyncError: undefined, correlationId: '' };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) response.ack = decodeAck(undefined);
    else if (tag === 0x12) response.asyncError = decodeError();
    else if (tag === 0x1a) response.correlationId = reader.string();
    else reader.skip(tag);
  }
  return response;
}

/** Finds entries by the bytes of their correlation ids, which need not be decoded then. */
export interface EntrySource<Entry extends { readonly correlationId: string }> extends TextSource {
  /** The entry whose correlation id these bytes are; null when there is none. */
  find(source: Buffer, start: number, size: number): Entry | null;
}

/** A PublishResponse together with the entry that its correlation id stands for. */
export interface CorrelatedResponse<Entry> extends PublishResponse {
  /** The name of this event among those of a publish stream. */
  readonly kind: 'response';
  /** Null when no entry has the correlation id. */
  pending: Entry | null;
}

/** Reads a PublishResponse and finds its entry. Throws WireError on bytes that are no PublishResponse. */
export function decodeCorrelatedResponse<Entry extends { readonly correlationId: string }>(
  source: Buffer,
  start: number,
  end: number,
  entries: EntrySource<Entry>,
): CorrelatedResponse<Entry> {
  reader.open(source, start, end);
  const response: CorrelatedResponse<Entry> = {
    kind: 'response',
    pending: null,
    ack: undefined,
    asyncError: undefined,
    correlationId: '',
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) response.ack = decodeAck(entries);
    else if (tag === 0x12) response.asyncError = decodeError();
    else if (tag === 0x1a) decodeCorrelationId(response, entries);
    else reader.skip(tag);
  }
  if (response.correlationId === '' && response.ack !== undefined)
    response.pending = entryOfText(entries, response.ack.correlationId);
  return response;
}

function decodeCorrelationId<Entry extends { readonly correlationId: string }>(
  response: CorrelatedResponse<Entry>,
  entries: EntrySource<Entry>,
): void {
  const size = reader.length();
  const { source, position } = reader;
  const pending = size === 0 ? null : entries.find(source, position, size);
  response.pending = pending;
  response.correlationId = pending?.correlationId ?? source.toString('utf8', position, position + size);
  reader.position = position + size;
}

/** For a response that has its correlation id in its ack alone. */
function entryOfText<Entry extends { readonly correlationId: string }>(
  entries: EntrySource<Entry>,
  correlationId: string,
): Entry | null {
  const bytes = Buffer.from(correlationId);
  return entries.find(bytes, 0, bytes.length);
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
