/*
 * A segment on disk, in a file "<base offset, 20 digits>.log". Numbers are big-endian.
 *
 *   header   8 bytes "LBTSEG01"
 *            8 bytes base offset
 *            8 bytes latest leader epoch when the file was made
 *   records, one behind the other:
 *            4 bytes length of the frame
 *            4 bytes CRC-32 of all that follows in the record
 *            8 bytes leader epoch
 *            4 bytes entry size, as retention counts it
 *            frame: a Message as subscribers receive it, with its gRPC prefix
 *
 * A record that is not whole, or whose checksum is wrong, is where the file ends.
 */
import { crc32 } from 'node:zlib';

const MAGIC = Buffer.from('LBTSEG01');
export const HEADER_BYTES = 24;
export const RECORD_BYTES = 20;
const CHECKSUM_START = 8;

export interface StoredRecord {
  readonly frame: Buffer;
  readonly epoch: number;
  /** Entry size. */
  readonly size: number;
}

export interface StoredSegment {
  /** Latest leader epoch at the creation of the file, null when the header is incomplete. */
  readonly epoch: number | null;
  readonly records: StoredRecord[];
  /** Number of valid bytes; the rest is damaged. */
  readonly validBytes: number;
}

/** The name of the file. */
export function segmentFileName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`;
}

/** The base offset in the name of a segment file, null for any other file. */
export function baseOffsetOf(fileName: string): number | null {
  const match = /^(\d{20})\.log$/.exec(fileName);
  return match === null ? null : Number(match[1]);
}

export function encodeHeader(baseOffset: number, epoch: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeBigUInt64BE(BigInt(baseOffset), 8);
  header.writeBigUInt64BE(BigInt(epoch), 16);
  return header;
}

/** Encodes the header of a record, which precedes its frame. */
export function encodeRecordHeader(frame: Uint8Array, epoch: number, size: number): Buffer {
  const header = Buffer.allocUnsafe(RECORD_BYTES);
  header.writeUInt32BE(frame.length, 0);
  header.writeBigUInt64BE(BigInt(epoch), 8);
  header.writeUInt32BE(size, 16);
  header.writeUInt32BE(crc32(frame, crc32(header.subarray(CHECKSUM_START))), 4);
  return header;
}

/** Whether the file begins like a segment, or is too short to tell. */
export function isSegmentFile(bytes: Buffer): boolean {
  return bytes.length < HEADER_BYTES || bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

/** Reads the valid part of a file. The frames are views of `bytes`. */
export function decodeSegmentFile(bytes: Buffer): StoredSegment {
  if (bytes.length < HEADER_BYTES) return { epoch: null, records: [], validBytes: 0 };
  const records: StoredRecord[] = [];
  let position = HEADER_BYTES;
  for (let record = recordAt(bytes, position); record !== null; record = recordAt(bytes, position)) {
    records.push(record);
    position += RECORD_BYTES + record.frame.length;
  }
  return { epoch: Number(bytes.readBigUInt64BE(16)), records, validBytes: position };
}

function recordAt(bytes: Buffer, position: number): StoredRecord | null {
  const start = position + RECORD_BYTES;
  if (start > bytes.length) return null;
  const end = start + bytes.readUInt32BE(position);
  if (end > bytes.length) return null;
  const checksum = crc32(bytes.subarray(position + CHECKSUM_START, end));
  if (checksum !== bytes.readUInt32BE(position + 4)) return null;
  return {
    frame: bytes.subarray(start, end),
    epoch: Number(bytes.readBigUInt64BE(position + 8)),
    size: bytes.readUInt32BE(position + 16),
  };
}
