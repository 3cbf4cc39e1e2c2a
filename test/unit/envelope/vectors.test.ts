import {
  type AckFields,
  decodeAck,
  decodeMessage,
  EnvelopeError,
  type EnvelopeErrorReason,
  type EnvelopeOptions,
  encodeAck,
  encodeMessage,
  isEnvelope,
} from 'liftbridge-client/envelope';
import {
  ByteWriter,
  beginEnvelope,
  decodeMessage as decodePayload,
  emptyMessage,
  encodeMessage as encodePayload,
} from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { bytes, type EnvelopeVector, type EnvelopeVectors, vectors, wholeVectors } from './vectors.js';

const REASONS: Readonly<Record<string, EnvelopeErrorReason>> = {
  MISSING_HEADER: 'too-short',
  BAD_MAGIC: 'bad-magic',
  UNKNOWN_VERSION: 'unknown-version',
  TYPE_MISMATCH: 'wrong-type',
  HEADER_OUT_OF_RANGE: 'bad-header-length',
  BAD_HEADER_SIZE: 'bad-header-length',
  CRC_MISMATCH: 'checksum',
  BAD_PAYLOAD: 'payload',
};
const POLICIES = ['leader', 'all', 'none'] as const;
const ERRORS = ['ok', 'unknown', 'incorrect-offset', 'too-large', 'encryption'] as const;

const hex = (data: Uint8Array | null): string => (data === null ? '' : Buffer.from(data).toString('hex'));
const fromHex = (text: unknown): Buffer => Buffer.from(String(text), 'hex');
const headersHex = (headers: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, hex(value)]));
const headersFromHex = (headers: unknown) =>
  Object.fromEntries(Object.entries(headers as Record<string, string>).map(([name, value]) => [name, fromHex(value)]));

function seenMessage(data: Uint8Array) {
  const { offset, key, value, timestamp, stream, partition, subject, replySubject, headers } = decodeMessage(data);
  return {
    ...{ offset: String(offset), keyHex: hex(key), valueHex: hex(value), headersHex: headersHex(headers) },
    ...{ timestampNs: String(timestamp), stream, partition, subject, replySubject },
  };
}

function seenAck(data: Uint8Array) {
  const { offset, receptionTimestamp, commitTimestamp, ackPolicy, error, partition: _, ...texts } = decodeAck(data);
  return {
    ...{ ...texts, offset: String(offset), ackPolicy: POLICIES.indexOf(ackPolicy), ackError: ERRORS.indexOf(error) },
    ...{ receptionTimestampNs: String(receptionTimestamp), commitTimestampNs: String(commitTimestamp) },
  };
}

function seen(vector: EnvelopeVector) {
  const kind = vector.as ?? vector.kind ?? (vector.decoded && 'ackError' in vector.decoded ? 'ack' : 'message');
  return kind === 'ack' ? seenAck(bytes(vector)) : seenMessage(bytes(vector));
}

/** An unknown ack error, 99 for example, reads as 'unknown'. */
const named = (decoded: Readonly<Record<string, unknown>>) =>
  Number(decoded.ackError) > 4 ? { ...decoded, ackError: 1 } : decoded;

function publishOptions(input: Readonly<Record<string, unknown>>): EnvelopeOptions {
  return {
    ...(input.keySet === true && { key: fromHex(input.keyHex) }),
    ...(input.expectedOffsetSet === true && { expectedOffset: BigInt(String(input.expectedOffset)) }),
    headers: headersFromHex(input.headersHex),
    ackInbox: String(input.ackInbox),
    correlationId: String(input.correlationId),
    ackPolicy: POLICIES[Number(input.ackPolicy)]!,
  };
}

function ackFields(input: Readonly<Record<string, unknown>>): AckFields {
  return {
    stream: String(input.stream),
    partitionSubject: String(input.partitionSubject),
    messageSubject: String(input.msgSubject),
    offset: BigInt(String(input.offset)),
    ackInbox: String(input.ackInbox),
    correlationId: String(input.correlationId),
    ackPolicy: POLICIES[Number(input.ackPolicy)]!,
    receptionTimestamp: BigInt(String(input.receptionTimestampNs)),
    commitTimestamp: BigInt(String(input.commitTimestampNs)),
    error: ERRORS[Number(input.ackError)] ?? 'unknown',
  };
}

function reasonOf(decode: () => unknown): EnvelopeErrorReason | null {
  try {
    decode();
    return null;
  } catch (error) {
    if (error instanceof EnvelopeError) return error.reason;
    throw error;
  }
}

/** Exactly eight bytes are an envelope with an empty payload to a server, and to us; their header is judged as any. */
function verdict(vector: EnvelopeVector): EnvelopeErrorReason | null {
  if (vector.category !== 'MISSING_HEADER' || vector.hex.length < 16) return REASONS[vector.category ?? ''] ?? null;
  return vector.server === 'ok' ? null : 'unknown-version';
}

function suite(all: EnvelopeVectors): void {
  describe('encodeMessage', () => {
    it.each(all.publish)('writes what the Go client writes: $name', (vector) => {
      const input = vector.input!;
      const value = input.valueIsNil === true ? null : fromHex(input.valueHex);
      expect(hex(encodeMessage(value, publishOptions(input)))).toBe(vector.hex);
    });

    const summed = all.crc.filter((vector) => vector.kind === 'message' && vector.name !== 'crc-full-message');
    it.each(summed)('with a checksum writes what the Go client accepts: $name', (vector) => {
      const { key, value, headers, ackInbox, correlationId, ackPolicy, offset } = decodeMessage(bytes(vector));
      const options = { key, headers, ackInbox, correlationId, ackPolicy, expectedOffset: offset, checksum: true };
      expect(hex(encodeMessage(value, options))).toBe(vector.hex);
    });
  });

  describe('encodeAck', () => {
    const writable = all.acks.filter((vector) => vector.name !== 'ack-error-unknown-enum-99');
    it.each(writable)('writes what a server writes: $name', (vector) => {
      expect(hex(encodeAck(ackFields(vector.input!)))).toBe(vector.hex);
    });
  });

  describe('decodeMessage and decodeAck', () => {
    const sound = [
      ...all.publish.filter((vector) => vector.decoded != null),
      ...all.fullMessages,
      ...all.multiHeader,
      ...all.acks,
      ...all.crc,
    ];
    const odd = all.oddButDecided.filter((vector) => vector.decoded != null);
    it.each([...sound, ...odd])('read what the Go client reads: $name', (vector) => {
      expect(seen(vector)).toEqual(named(vector.decoded!));
      expect(isEnvelope(bytes(vector))).toBe(true);
    });

    const empty = [...all.oddButDecided, ...all.publish].filter((vector) => vector.decoded == null);
    it.each(empty)('read an empty payload, as the server does: $name', (vector) => {
      expect(reasonOf(() => seen(vector))).toBeNull();
    });

    it.each(all.invalid)('refuse $as $name ($category)', (vector) => {
      expect(reasonOf(() => seen(vector))).toBe(verdict(vector));
    });

    it.each(all.fullMessages)('read what the message codec writes again: $name', (vector) => {
      const message = decodeMessage(bytes(vector));
      const writer = new ByteWriter();
      beginEnvelope(writer, 0);
      const data = bytes(vector);
      const ackPolicy = decodePayload(data, data[5]!, data.length, emptyMessage()).ackPolicyCode as 0 | 1 | 2;
      encodePayload(writer, { ...message, headers: Object.entries(message.headers), ackPolicy });
      expect(hex(writer.take())).toBe(vector.hex);
    });
  });
}

describe('fixture', () => suite(vectors));
describe.skipIf(wholeVectors === null)('the whole vector file (../shared/vectors)', () => {
  if (wholeVectors !== null) suite(normalised(wholeVectors));
});

/** The whole file spells verdicts out; the fixture says ok or refused. */
function normalised(all: EnvelopeVectors): EnvelopeVectors {
  const short = (vector: EnvelopeVector & { goServer?: string }): EnvelopeVector =>
    vector.goServer === undefined ? vector : { ...vector, server: vector.goServer === 'ok' ? 'ok' : 'refused' };
  return { ...all, invalid: all.invalid.map(short) };
}
