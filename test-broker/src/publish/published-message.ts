import { isUtf8 } from 'node:buffer';
import {
  ByteWriter,
  beginEnvelope,
  decodeHeader,
  ENVELOPE_MESSAGE,
  RecentText,
  WireError,
  WireReader,
} from 'liftbridge-client/protocol';

const KEY = 0x0a;
const VALUE = 0x12;
const STREAM = 0x1a;
const PARTITION = 0x20;
const HEADER = 0x2a;
const ACK_INBOX = 0x32;
const CORRELATION_ID = 0x3a;
const ACK_POLICY = 0x40;
const EXPECTED_OFFSET = 0x48;

/** Fields of the Message that carry over from a PublishRequest. */
const MESSAGE = {
  offset: 0x08,
  key: 0x12,
  value: 0x1a,
  stream: 0x2a,
  subject: 0x3a,
  header: 0x4a,
  ackInbox: 0x52,
  correlationId: 0x5a,
  ackPolicy: 0x60,
} as const;

const MAX_HEADER_NAME_BYTES = 32_767;
const INVALID_TEXT = 'string field contains invalid UTF-8';

const writer = new ByteWriter();

/**
 * Converts PublishRequests to envelopes without decoding them: fields that the broker does not use itself, such as key,
 * value and correlation id, are copied as bytes. One object serves any number of requests, one after the other.
 */
export class PublishedMessage {
  stream = '';
  partition = 0;
  /** The number on the wire, possibly unknown to the protocol. */
  ackPolicy = 0;
  expectedOffset = 0n;
  /** Whether the name of a header is too long for the log of a real server, which crashes on it. */
  overlongHeader = false;
  readonly #reader = new WireReader();
  readonly #recentStream = new RecentText();
  /** Start and end of each header with its length, without the tag. */
  readonly #headers: number[] = [];
  #source: Buffer = Buffer.alloc(0);
  #keyStart = 0;
  #keyEnd = 0;
  #valueStart = 0;
  #valueEnd = 0;
  #idStart = 0;
  #idEnd = 0;

  /** Reads a request. Throws WireError for invalid bytes, and for text that is not UTF-8. */
  read(source: Buffer): void {
    this.#clear(source);
    const reader = this.#reader;
    reader.open(source, 0, source.length);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) this.#field(tag);
  }

  get correlationId(): string {
    return this.#source.toString('utf8', this.#idStart, this.#idEnd);
  }

  /**
   * The envelope of the message. `address`: stream and subject as {@link encodeAddress} writes them; `inbox`: the ack
   * inbox as {@link encodeInbox} does.
   */
  envelope(address: Uint8Array, inbox: Uint8Array): Buffer {
    const source = this.#source;
    beginEnvelope(writer, ENVELOPE_MESSAGE);
    if (this.expectedOffset !== 0n) {
      writer.byte(MESSAGE.offset);
      writer.int64(this.expectedOffset);
    }
    copy(MESSAGE.key, source, this.#keyStart, this.#keyEnd);
    copy(MESSAGE.value, source, this.#valueStart, this.#valueEnd);
    writer.raw(address);
    for (let i = 0; i < this.#headers.length; i += 2) {
      writer.byte(MESSAGE.header);
      writer.raw(source.subarray(this.#headers[i]!, this.#headers[i + 1]!));
    }
    writer.raw(inbox);
    copy(MESSAGE.correlationId, source, this.#idStart, this.#idEnd);
    if (this.ackPolicy !== 0) {
      writer.byte(MESSAGE.ackPolicy);
      writer.int32(this.ackPolicy);
    }
    return writer.take();
  }

  #clear(source: Buffer): void {
    this.#source = source;
    this.stream = '';
    this.partition = 0;
    this.ackPolicy = 0;
    this.expectedOffset = 0n;
    this.overlongHeader = false;
    this.#keyStart = this.#keyEnd = 0;
    this.#valueStart = this.#valueEnd = 0;
    this.#idStart = this.#idEnd = 0;
    if (this.#headers.length > 0) this.#headers.length = 0;
  }

  #field(tag: number): void {
    const reader = this.#reader;
    switch (tag) {
      case KEY:
        this.#keyStart = enter(reader);
        this.#keyEnd = reader.position;
        return;
      case VALUE:
        this.#valueStart = enter(reader);
        this.#valueEnd = reader.position;
        return;
      case STREAM:
        this.stream = reader.string(true, this.#recentStream);
        return;
      case PARTITION:
        this.partition = reader.int32();
        return;
      case HEADER:
        this.#header();
        return;
      case ACK_INBOX:
        // The inbox of the session replaces it, but it still has to be valid text.
        reader.string(true);
        return;
      case CORRELATION_ID:
        this.#idStart = enter(reader);
        this.#idEnd = reader.position;
        if (!isText(this.#source, this.#idStart, this.#idEnd)) throw new WireError(INVALID_TEXT);
        return;
      case ACK_POLICY:
        this.ackPolicy = reader.int32();
        return;
      case EXPECTED_OFFSET:
        this.expectedOffset = reader.int64();
        return;
      default:
        reader.skip(tag);
    }
  }

  #header(): void {
    const start = this.#reader.position;
    decodeHeader(this.#reader, true, (name) => {
      if (isOverlong(name)) this.overlongHeader = true;
    });
    this.#headers.push(start, this.#reader.position);
  }
}

/** Stream and subject as fields of a Message. */
export function encodeAddress(stream: string, subject: string): Buffer {
  writer.byte(MESSAGE.stream);
  writer.string(stream);
  writer.byte(MESSAGE.subject);
  writer.string(subject);
  return writer.take();
}

/** The ack inbox as a field of a Message. */
export function encodeInbox(inbox: string): Buffer {
  writer.byte(MESSAGE.ackInbox);
  writer.string(inbox);
  return writer.take();
}

/** Whether a header's name is too long for the log of a real server, which crashes on it. */
export function isOverlong(name: string): boolean {
  return (
    name.length > MAX_HEADER_NAME_BYTES ||
    (name.length > MAX_HEADER_NAME_BYTES / 3 && Buffer.byteLength(name) > MAX_HEADER_NAME_BYTES)
  );
}

/** Skips a length-delimited field; returns where it begins. */
function enter(reader: WireReader): number {
  const size = reader.length();
  const start = reader.position;
  reader.position = start + size;
  return start;
}

function copy(tag: number, source: Buffer, start: number, end: number): void {
  if (start === end) return;
  writer.byte(tag);
  writer.bytes(source.subarray(start, end));
}

function isText(source: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (source[i]! > 0x7f) return isUtf8(source.subarray(start, end));
  }
  return true;
}
