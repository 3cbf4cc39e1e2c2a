import { int64, integer, oneOf, readOptions, type Shape, wellFormedText } from '../options.js';
import { decodeAckFields, encodeAckFields } from '../protocol/ack.js';
import { ACK_POLICIES } from '../protocol/ack-policy.js';
import { ByteWriter } from '../protocol/byte-writer.js';
import { beginEnvelope, ENVELOPE_ACK } from '../protocol/envelope-frame.js';
import type * as wire from '../protocol/generated/api.js';
import { ACK_ERRORS, type Ack, type AckFields, fromAck, toAck } from '../protocol/received-ack.js';
import { WireReader } from '../protocol/wire-reader.js';
import { asBuffer, openEnvelope } from './envelope-data.js';

const writer = new ByteWriter(4096);
const reader = new WireReader();

const ACK_SHAPE = {
  stream: wellFormedText,
  partition: integer(-1),
  partitionSubject: wellFormedText,
  messageSubject: wellFormedText,
  offset: int64(),
  ackInbox: wellFormedText,
  correlationId: wellFormedText,
  ackPolicy: oneOf(...ACK_POLICIES),
  receptionTimestamp: int64(),
  commitTimestamp: int64(),
  error: oneOf(...ACK_ERRORS),
} satisfies Shape<Ack>;

/**
 * Reads an ack as a broker sends it to an ack inbox. go-liftbridge: `UnmarshalAck`; unlike it, this returns the `error`
 * of the ack, and reads an envelope whose payload is empty.
 *
 * @throws EnvelopeError (ENVELOPE) when the bytes are anything else; `reason` says what is wrong with them.
 */
export function decodeAck(data: Uint8Array): Ack {
  return toAck(readAck(data));
}

/** The same in the form of the wire, with the numbers of the error and the policy. */
function readAck(data: Uint8Array): wire.Ack {
  return openEnvelope(asBuffer('decodeAck', data), ENVELOPE_ACK, decodePayload);
}

function decodePayload(data: Buffer, start: number): wire.Ack {
  reader.open(data, start, data.length);
  return decodeAckFields(reader, true);
}

/**
 * Puts an ack into an envelope, byte for byte as a broker does: for tests and for tools that stand in for a broker.
 * Fields that are left out are empty, `ackPolicy` is 'leader' and `error` is 'ok'; 64-bit integers may be given as numbers.
 *
 * @throws InvalidArgumentError (INVALID_ARGUMENT) when a field is unknown or not allowed, naming it.
 */
export function encodeAck(ack: AckFields = {}): Buffer {
  const fields = fromAck(readOptions<AckFields>('encodeAck', ack, ACK_SHAPE));
  writer.truncate(0);
  beginEnvelope(writer, ENVELOPE_ACK);
  encodeAckFields(writer, fields);
  return writer.take();
}
