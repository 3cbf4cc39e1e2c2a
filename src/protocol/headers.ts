import type { ByteWriter } from './byte-writer.js';
import type { WireReader } from './wire-reader.js';

/** User headers on their way out: any iterable of name and value. */
export type HeaderEntries<Content = Uint8Array> = Iterable<readonly [string, Content]>;

/**
 * Writes each header as an entry of a protobuf map field: name and value even when empty, byte for byte as Go does. Text is
 * written as UTF-8.
 */
export function encodeHeaders(writer: ByteWriter, tag: number, headers: HeaderEntries<Uint8Array | string>): void {
  for (const [name, value] of headers) {
    writer.varint(tag);
    const entry = writer.openPart();
    writer.byte(0x0a);
    writer.string(name);
    writer.byte(0x12);
    if (typeof value === 'string') writer.string(value);
    else writer.bytes(value);
    writer.closePart(entry);
  }
}

/** Reads one entry of a map field, whose tag has been read, and hands it to `put`. */
export function decodeHeader(reader: WireReader, strict: boolean, put: (name: string, value: Buffer) => void): void {
  const size = reader.length();
  const outerEnd = reader.end;
  reader.end = reader.position + size;
  let name = '';
  let value: Buffer = EMPTY;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) name = reader.string(strict);
    else if (tag === 0x12) value = reader.bytes();
    else reader.skip(tag);
  }
  reader.end = outerEnd;
  put(name, value);
}

/** Passes over one entry of a map field, whose tag has been read; a name that is not UTF-8 is an error. */
export function checkHeader(reader: WireReader): void {
  const size = reader.length();
  const outerEnd = reader.end;
  reader.end = reader.position + size;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) reader.skipText();
    else reader.skip(tag);
  }
  reader.end = outerEnd;
}

const EMPTY = Buffer.alloc(0);
