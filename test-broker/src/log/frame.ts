import {
  ByteWriter,
  beginFrame,
  decodeMessage,
  decodeMessageHeaders,
  emptyMessage,
  encodeMessage,
  endFrame,
  FRAME_PREFIX,
  type MessageFields,
  WireReader,
} from 'liftbridge-client/protocol';

/** A stored message. The bytes are views of the log's memory and must not be changed. */
export interface LogRecord {
  readonly offset: number;
  /** Null when there is none: an empty key and no key are the same on the wire. */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
  readonly subject: string;
  readonly reply: string;
  /** The headers of the publisher, and `subject` and `reply`. */
  readonly headers: Map<string, Buffer>;
}

/** A header of a message. */
export type LogHeader = readonly [string, Uint8Array];

const EMPTY = Buffer.alloc(0);
const writer = new ByteWriter();
const reader = new WireReader();
let lastSubject = { text: '', bytes: EMPTY };

/** The stored headers: those of the publisher, with `subject` and `reply` in place of headers of these names. */
export function storedHeaders(headers: Iterable<LogHeader>, subject: string, reply: string): LogHeader[] {
  const stored: LogHeader[] = [];
  for (const header of headers) {
    if (header[0] !== 'subject' && header[0] !== 'reply') stored.push(header);
  }
  if (lastSubject.text !== subject) lastSubject = { text: subject, bytes: Buffer.from(subject) };
  stored.push(['subject', lastSubject.bytes], ['reply', reply === '' ? EMPTY : Buffer.from(reply)]);
  return stored;
}

/** A Message with its gRPC prefix, as a subscriber receives it. */
export function encodeFrame(fields: MessageFields): Buffer {
  try {
    const opened = beginFrame(writer);
    encodeMessage(writer, fields);
    endFrame(writer, opened);
    return writer.take();
  } catch (error) {
    writer.truncate(0);
    throw error;
  }
}

/** Decodes the result of {@link encodeFrame}. Throws WireError. */
export function decodeFrame(frame: Buffer): LogRecord {
  const message = decodeMessage(frame, FRAME_PREFIX, frame.length, emptyMessage());
  return {
    offset: Number(message.offset),
    key: message.key,
    value: message.value,
    timestamp: message.timestamp,
    subject: message.subject,
    reply: message.replySubject,
    headers: decodeMessageHeaders(message),
  };
}

/** The same message with another value. */
export function replaceValue(frame: Buffer, change: (value: Buffer | null) => Uint8Array | null): Buffer {
  const message = decodeMessage(frame, FRAME_PREFIX, frame.length, emptyMessage());
  return encodeFrame({
    ...message,
    value: change(message.value),
    headers: decodeMessageHeaders(message),
    ackPolicy: 0,
  });
}

/** The timestamp of the message, 0 when it has none. */
export function frameTimestamp(frame: Buffer): bigint {
  return find(frame, 0x20) ? reader.int64() : 0n;
}

/** The offset of the message. */
export function frameOffset(frame: Buffer): number {
  return find(frame, 0x08) ? Number(reader.int64()) : 0;
}

/** Sizes of the parts of a message that count for its entry size, in bytes. */
export interface FramePayload {
  key: number;
  value: number;
  headers: number;
  headerBytes: number;
}

/** The sizes of the parts of the message, without decoding them. */
export function framePayload(frame: Buffer): FramePayload {
  const payload = { key: 0, value: 0, headers: 0, headerBytes: 0 };
  reader.open(frame, FRAME_PREFIX, frame.length);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x12) payload.key = skipBytes();
    else if (tag === 0x1a) payload.value = skipBytes();
    else if (tag === 0x4a) {
      payload.headers++;
      payload.headerBytes += skipHeader();
    } else reader.skip(tag);
  }
  return payload;
}

function skipBytes(): number {
  const size = reader.length();
  reader.position += size;
  return size;
}

/** Bytes of name and value of a map entry. */
function skipHeader(): number {
  const end = reader.length() + reader.position;
  let bytes = 0;
  while (reader.position < end) {
    reader.tag();
    bytes += skipBytes();
  }
  return bytes;
}

/** The key of the message, null when it has none. */
export function frameKey(frame: Buffer): Buffer | null {
  return find(frame, 0x12) ? reader.bytes() : null;
}

/** Stops behind the tag. Fields are in the order of their numbers, so a greater number ends the search. */
function find(frame: Buffer, wanted: number): boolean {
  reader.open(frame, FRAME_PREFIX, frame.length);
  for (let tag = reader.tag(); tag !== 0 && tag <= wanted; tag = reader.tag()) {
    if (tag === wanted) return true;
    reader.skip(tag);
  }
  return false;
}

/** Calls back with each frame of a run of complete frames. */
export function eachFrame(run: Buffer, visit: (frame: Buffer) => void): void {
  for (let start = 0; start < run.length; ) {
    const end = start + FRAME_PREFIX + run.readUInt32BE(start + 1);
    visit(run.subarray(start, end));
    start = end;
  }
}
