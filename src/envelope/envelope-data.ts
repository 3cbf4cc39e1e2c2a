import { types } from 'node:util';
import { EnvelopeError } from '../errors.js';
import { bytes, checkValue, type Rule } from '../options.js';
import { byteCount, plainView } from '../protocol/byte-views.js';
import {
  ENVELOPE_ACK,
  ENVELOPE_MESSAGE,
  type EnvelopeFault,
  envelopeFault,
  readEnvelope,
} from '../protocol/envelope-frame.js';
import { WireError } from '../protocol/wire-reader.js';

const EXPLANATIONS: Readonly<Record<EnvelopeFault, (data: Uint8Array) => string>> = {
  'too-short': (data) => `${data.length} bytes cannot hold the header, which takes 8`,
  'bad-magic': () => 'it does not start with B9 0E 43 B4, so a publisher sent it as plain data',
  'unknown-version': (data) => `its version is ${data[4]}, and only version 0 is known`,
  'bad-header-length': (data) => `its header length ${data[5]} does not fit ${data.length} bytes with flags ${data[6]}`,
  'wrong-type': (data) => `its type is ${data[7]} (${ENVELOPE_MESSAGE} is a message, ${ENVELOPE_ACK} an ack)`,
  checksum: () => 'the CRC-32C of its payload differs from the one in its header: it was damaged on the way',
  payload: () => 'its payload is not the protobuf message that its type stands for',
};

const BYTES: Rule = {
  expected: 'a Uint8Array',
  accepts: (value) => typeof value !== 'string' && bytes.accepts(value),
  fault: (value) => bytes.fault!(value),
};

/** The bytes as a Buffer on the same memory. Throws InvalidArgumentError for anything but a Uint8Array. */
export function asBuffer(where: string, data: Uint8Array): Buffer {
  checkValue(where, 'data', data, BYTES);
  return plainView(data);
}

/** Decodes the payload of an envelope of `type` with `decode`. Throws EnvelopeError. */
export function openEnvelope<T>(
  data: Buffer,
  type: typeof ENVELOPE_MESSAGE | typeof ENVELOPE_ACK,
  decode: (data: Buffer, start: number) => T,
): T {
  const start = readEnvelope(data, type);
  if (start < 0) throw notAnEnvelope(data, type, envelopeFault(start));
  try {
    return decode(data, start);
  } catch (error) {
    if (error instanceof WireError) throw notAnEnvelope(data, type, 'payload', error);
    throw error;
  }
}

function notAnEnvelope(data: Buffer, type: number, reason: EnvelopeFault, cause?: WireError): EnvelopeError {
  const isAck = type === ENVELOPE_ACK;
  const detail = cause === undefined ? '' : ` (${cause.message})`;
  return new EnvelopeError(
    `not the envelope of ${isAck ? 'an ack' : 'a message'}: ${EXPLANATIONS[reason](data)}${detail}`,
    {
      reason,
      cause,
      operation: isAck ? 'decodeAck' : 'decodeMessage',
    },
  );
}

/**
 * Whether `data` has the header of an envelope of any type, and a correct checksum if it has one. This distinguishes an
 * enveloped message on a NATS subject from a plain one. It does not read the payload; only decoding shows whether that is valid.
 */
export function isEnvelope(data: Uint8Array): boolean {
  if (!types.isUint8Array(data) || byteCount(data) < 8) return false;
  const view = plainView(data);
  return readEnvelope(view, view[7]!) >= 0;
}
