import { byteCount } from './byte-views.js';
import type { ByteWriter } from './byte-writer.js';
import type { AckPolicy } from './generated/api.js';
import { checkHeader, decodeHeader, encodeHeaders, type HeaderEntries } from './headers.js';
import { RecentText, WireReader } from './wire-reader.js';

/** What a Message says, with absent parts as null. */
export interface MessageFields<Content = Uint8Array> {
  readonly offset: bigint;
  readonly key: Content | null;
  readonly value: Content | null;
  readonly timestamp: bigint;
  readonly stream: string;
  readonly partition: number;
  readonly subject: string;
  readonly replySubject: string;
  readonly headers: HeaderEntries<Content> | null;
  readonly ackInbox: string;
  readonly correlationId: string;
  readonly ackPolicy: AckPolicy;
}

/** Writes a Message, without a frame or an envelope around it, in field order and without defaults. Text is written as UTF-8. */
export function encodeMessage(writer: ByteWriter, fields: MessageFields<Uint8Array | string>): void {
  if (fields.offset !== 0n) {
    writer.byte(0x08);
    writer.int64(fields.offset);
  }
  if (fields.key !== null) content(writer, 0x12, fields.key);
  if (fields.value !== null) content(writer, 0x1a, fields.value);
  if (fields.timestamp !== 0n) {
    writer.byte(0x20);
    writer.int64(fields.timestamp);
  }
  if (fields.stream !== '') text(writer, 0x2a, fields.stream);
  if (fields.partition !== 0) {
    writer.byte(0x30);
    writer.int32(fields.partition);
  }
  if (fields.subject !== '') text(writer, 0x3a, fields.subject);
  if (fields.replySubject !== '') text(writer, 0x42, fields.replySubject);
  if (fields.headers !== null) encodeHeaders(writer, 0x4a, fields.headers);
  if (fields.ackInbox !== '') text(writer, 0x52, fields.ackInbox);
  if (fields.correlationId !== '') text(writer, 0x5a, fields.correlationId);
  if (fields.ackPolicy !== 0) {
    writer.byte(0x60);
    writer.int32(fields.ackPolicy);
  }
}

function content(writer: ByteWriter, tag: number, value: Uint8Array | string): void {
  if (typeof value === 'string') {
    if (value !== '') text(writer, tag, value);
  } else if (byteCount(value) > 0) {
    writer.byte(tag);
    writer.bytes(value);
  }
}

function text(writer: ByteWriter, tag: number, value: string): void {
  writer.byte(tag);
  writer.string(value);
}

/**
 * Where a decoded Message goes. Headers stay encoded, as the part of `source` from `headersStart` to `headersEnd`,
 * until somebody asks for them: most readers never do.
 */
export interface MessageTarget {
  offset: bigint;
  key: Buffer | null;
  value: Buffer | null;
  timestamp: bigint;
  stream: string;
  partition: number;
  subject: string;
  replySubject: string;
  ackInbox: string;
  correlationId: string;
  /** The number on the wire, which may be one that the protocol does not name. */
  set ackPolicyCode(code: number);
  source: Buffer | null;
  headersStart: number;
  headersEnd: number;
}

/** A target with every field at its default. */
export function emptyMessage(): MessageTarget {
  return {
    offset: 0n,
    key: null,
    value: null,
    timestamp: 0n,
    stream: '',
    partition: 0,
    subject: '',
    replySubject: '',
    ackInbox: '',
    correlationId: '',
    ackPolicyCode: 0,
    source: null,
    headersStart: 0,
    headersEnd: 0,
  };
}

const reader = new WireReader();
const recent = {
  stream: new RecentText(),
  subject: new RecentText(),
  replySubject: new RecentText(),
  ackInbox: new RecentText(),
};

/**
 * Reads a Message into `target`, whose fields are at their defaults. Keys and values are views of `source`.
 * `strict` refuses text that is not UTF-8, headers included, as the server does. Throws WireError.
 */
export function decodeMessage<T extends MessageTarget>(
  source: Buffer,
  start: number,
  end: number,
  target: T,
  strict = false,
): T {
  reader.open(source, start, end);
  let field = reader.position;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x4a) {
      if (strict) checkHeader(reader);
      else reader.skip(tag);
      if (target.source === null) {
        target.source = source;
        target.headersStart = field;
      }
      target.headersEnd = reader.position;
    } else decodeField(target, tag, strict);
    field = reader.position;
  }
  return target;
}

function decodeField(target: MessageTarget, tag: number, strict: boolean): void {
  switch (tag) {
    case 0x08:
      target.offset = reader.int64();
      return;
    case 0x12:
      target.key = reader.bytes();
      return;
    case 0x1a:
      target.value = reader.bytes();
      return;
    case 0x20:
      target.timestamp = reader.int64();
      return;
    case 0x2a:
      target.stream = reader.string(strict, recent.stream);
      return;
    case 0x30:
      target.partition = reader.int32();
      return;
    case 0x3a:
      target.subject = reader.string(strict, recent.subject);
      return;
    case 0x42:
      target.replySubject = reader.string(strict, recent.replySubject);
      return;
    case 0x52:
      target.ackInbox = reader.string(strict, recent.ackInbox);
      return;
    case 0x5a:
      target.correlationId = reader.string(strict);
      return;
    case 0x60:
      target.ackPolicyCode = reader.int32();
      return;
    default:
      reader.skip(tag);
  }
}

/** The headers of a decoded Message, later entries of a name winning. The values are views of its source. */
export function decodeMessageHeaders(message: MessageTarget): Map<string, Buffer> {
  const headers = new Map<string, Buffer>();
  eachMessageHeader(message, (name, value) => headers.set(name, value));
  return headers;
}

/** Hands the headers of a decoded Message to `put`, in the order on the wire; a name may come more than once. */
export function eachMessageHeader(message: MessageTarget, put: (name: string, value: Buffer) => void): void {
  if (message.source === null) return;
  reader.open(message.source, message.headersStart, message.headersEnd);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x4a) decodeHeader(reader, false, put);
    else reader.skip(tag);
  }
}
