import { byteCount } from './byte-views.js';
import type { ByteWriter } from './byte-writer.js';
import type { AckPolicy, PublishRequest } from './generated/api.js';
import { decodeHeader, encodeHeaders, type HeaderEntries } from './headers.js';
import { RecentText, WireReader } from './wire-reader.js';

/** What a publish says, with absent parts as null. */
export interface PublishFields {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly stream: string;
  readonly partition: number;
  readonly headers: HeaderEntries | null;
  readonly ackInbox: string;
  readonly correlationId: string;
  readonly ackPolicy: AckPolicy;
  readonly expectedOffset: bigint;
}

/** Writes a PublishRequest, without a frame around it. */
export function encodePublishRequest(writer: ByteWriter, fields: PublishFields): void {
  if (fields.key !== null && byteCount(fields.key) > 0) {
    writer.byte(0x0a);
    writer.bytes(fields.key);
  }
  if (fields.value !== null && byteCount(fields.value) > 0) {
    writer.byte(0x12);
    writer.bytes(fields.value);
  }
  if (fields.stream !== '') {
    writer.byte(0x1a);
    writer.string(fields.stream);
  }
  if (fields.partition !== 0) {
    writer.byte(0x20);
    writer.int32(fields.partition);
  }
  if (fields.headers !== null) encodeHeaders(writer, 0x2a, fields.headers);
  if (fields.ackInbox !== '') {
    writer.byte(0x32);
    writer.string(fields.ackInbox);
  }
  encodeTail(writer, fields);
}

function encodeTail(writer: ByteWriter, fields: PublishFields): void {
  if (fields.correlationId !== '') {
    writer.byte(0x3a);
    writer.string(fields.correlationId);
  }
  if (fields.ackPolicy !== 0) {
    writer.byte(0x40);
    writer.int32(fields.ackPolicy);
  }
  if (fields.expectedOffset !== 0n) {
    writer.byte(0x48);
    writer.int64(fields.expectedOffset);
  }
}

const reader = new WireReader();
const recent = { stream: new RecentText(), ackInbox: new RecentText() };

/** Reads a PublishRequest as a server does: text that is not UTF-8 is refused. Throws WireError. */
export function decodePublishRequest(source: Buffer, start = 0, end = source.length): PublishRequest {
  reader.open(source, start, end);
  const headers = new Map<string, Uint8Array>();
  const request: PublishRequest = {
    key: EMPTY,
    value: EMPTY,
    stream: '',
    partition: 0,
    headers,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
    expectedOffset: 0n,
  };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) decodeField(request, tag);
  return request;
}

function decodeField(request: PublishRequest, tag: number): void {
  switch (tag) {
    case 0x0a:
      request.key = reader.bytes();
      return;
    case 0x12:
      request.value = reader.bytes();
      return;
    case 0x1a:
      request.stream = reader.string(true, recent.stream);
      return;
    case 0x20:
      request.partition = reader.int32();
      return;
    case 0x2a:
      decodeHeader(reader, true, (name, value) => request.headers.set(name, value));
      return;
    case 0x32:
      request.ackInbox = reader.string(true, recent.ackInbox);
      return;
    case 0x3a:
      request.correlationId = reader.string(true);
      return;
    case 0x40:
      request.ackPolicy = reader.int32() as AckPolicy;
      return;
    case 0x48:
      request.expectedOffset = reader.int64();
      return;
    default:
      reader.skip(tag);
  }
}

const EMPTY = Buffer.alloc(0);
