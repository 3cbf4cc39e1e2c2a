import crc32c from 'crc-32/crc32c.js';
import type { ByteWriter } from './byte-writer.js';
import { decodeMessage, type MessageTarget } from './message.js';
import { WireError } from './wire-reader.js';

/** The type byte of an envelope around a Message: a publish. */
export const ENVELOPE_MESSAGE = 0;
/** The type byte of an envelope around an Ack. */
export const ENVELOPE_ACK = 1;

/** Why bytes are not an envelope of the expected type, in the order in which it is looked at. */
export type EnvelopeFault =
  | 'too-short'
  | 'bad-magic'
  | 'unknown-version'
  | 'bad-header-length'
  | 'wrong-type'
  | 'checksum'
  | 'payload';

// What readEnvelope answers instead of a position.
const TOO_SHORT = -1;
const BAD_MAGIC = -2;
const UNKNOWN_VERSION = -3;
const BAD_HEADER_LENGTH = -4;
const WRONG_TYPE = -5;
const CHECKSUM = -6;
const faults: readonly EnvelopeFault[] = [
  'too-short',
  'bad-magic',
  'unknown-version',
  'bad-header-length',
  'wrong-type',
  'checksum',
];

const MAGIC = 0xb90e43b4;
const HEADER = 8;
const HEADER_WITH_CHECKSUM = 12;
const FLAG_CHECKSUM = 0x01;

/**
 * Where the payload of an envelope starts, or a negative number when `data` is none: see `envelopeFault`. Never throws
 * and allocates nothing without a checksum, because every message of a NATS subject passes here, envelope or not.
 *
 * The rules are the server's. A header longer than 8 without a checksum is skipped; one shorter than 8 puts the payload
 * inside the header, where it nearly always fails to decode; a header longer than the data, which ends a real server,
 * is a fault.
 */
export function readEnvelope(data: Uint8Array, type: number): number {
  if (data.length < HEADER) return TOO_SHORT;
  if (data[0] !== 0xb9 || data[1] !== 0x0e || data[2] !== 0x43 || data[3] !== 0xb4) return BAD_MAGIC;
  if (data[4] !== 0) return UNKNOWN_VERSION;
  const start = data[5]!;
  if (start > data.length) return BAD_HEADER_LENGTH;
  if (data[7] !== type) return WRONG_TYPE;
  if ((data[6]! & FLAG_CHECKSUM) === 0) return start;
  if (start !== HEADER_WITH_CHECKSUM) return BAD_HEADER_LENGTH;
  return checksumHolds(data) ? start : CHECKSUM;
}

/** The name of a negative answer of `readEnvelope`. */
export function envelopeFault(answer: number): EnvelopeFault {
  return faults[-answer - 1] ?? 'payload';
}

function checksumHolds(data: Uint8Array): boolean {
  const stated = (data[8]! << 24) | (data[9]! << 16) | (data[10]! << 8) | data[11]!;
  return stated === (checksum(data) | 0);
}

/** CRC-32C of the payload behind a header with a checksum. */
function checksum(data: Uint8Array): number {
  return crc32c.buf(data.subarray(HEADER_WITH_CHECKSUM));
}

/**
 * Reads the envelope of a publish as the server does: text that is not UTF-8 is refused. Answers `null`, with `target`
 * in no particular state, when `data` is to be stored as a plain message.
 */
export function readMessageEnvelope<T extends MessageTarget>(data: Buffer, target: T): T | null {
  const start = readEnvelope(data, ENVELOPE_MESSAGE);
  if (start < 0) return null;
  try {
    return decodeMessage(data, start, data.length, target, true);
  } catch (error) {
    if (error instanceof WireError) return null;
    throw error;
  }
}

/** Writes a header; what is written next is the payload. One with a checksum is to be completed by `sealEnvelope`. */
export function beginEnvelope(writer: ByteWriter, type: number, withChecksum = false): void {
  writer.word(MAGIC);
  if (withChecksum) {
    writer.word((HEADER_WITH_CHECKSUM << 16) | (FLAG_CHECKSUM << 8) | type);
    writer.word(0);
  } else writer.word((HEADER << 16) | type);
}

/** Puts the CRC-32C of the payload into an envelope begun with a checksum. */
export function sealEnvelope(envelope: Buffer): void {
  envelope.writeInt32BE(checksum(envelope), HEADER_WITH_CHECKSUM - 4);
}
