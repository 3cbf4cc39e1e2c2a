import { framePayload, type LogHeader } from './frame.js';

/** Offset, timestamp, leader epoch, length; checksum; version and attributes; lengths of key and value; header count. */
const FIXED_BYTES = 28 + 4 + 1 + 1 + 4 + 4 + 2;
/** The lengths of name and value. */
const HEADER_BYTES = 2 + 4;

/**
 * The bytes that a message takes on the server's disk. Segment sizes and byte retention count these, not the bytes that
 * this broker stores.
 */
export function entrySize(keySize: number, valueSize: number, headers: Iterable<LogHeader>): number {
  let size = FIXED_BYTES + keySize + valueSize;
  for (const [name, value] of headers) size += HEADER_BYTES + Buffer.byteLength(name) + value.length;
  return size;
}

/** The entry size of an encoded message. */
export function frameEntrySize(frame: Buffer): number {
  const { key, value, headers, headerBytes } = framePayload(frame);
  return FIXED_BYTES + key + value + headers * HEADER_BYTES + headerBytes;
}
