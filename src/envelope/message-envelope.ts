import { ByteWriter } from '../protocol/byte-writer.js';
import { beginEnvelope, ENVELOPE_MESSAGE, sealEnvelope } from '../protocol/envelope-frame.js';
import * as codec from '../protocol/message.js';
import { type Message, ReceivedMessage } from '../protocol/received-message.js';
import { asBuffer, openEnvelope } from './envelope-data.js';
import {
  type AckAddress,
  type EnvelopeOptions,
  messageFields,
  readEnvelopeOptions,
  type Value,
} from './envelope-options.js';

const writer = new ByteWriter();

/**
 * Puts a message into an envelope, ready to be published to the NATS subject of a stream. go-liftbridge: `NewMessage`.
 *
 * Text is encoded as UTF-8. The result belongs to the caller and is never written to again.
 *
 * @throws InvalidArgumentError (INVALID_ARGUMENT) when a value or an option is not allowed, naming it.
 * @example
 * nats.publish('orders', encodeMessage('{"id":7}', { key: '7', headers: { source: 'shop' } }));
 */
export function encodeMessage(value: Value, options?: EnvelopeOptions): Buffer {
  return writeMessage(value, readEnvelopeOptions('encodeMessage', value, options));
}

/** The same for a value and options that have been read, with the acks sent to `address`. */
export function writeMessage(value: Value, options: EnvelopeOptions, address: AckAddress = options): Buffer {
  const fields = messageFields(value, options, address);
  const withChecksum = options.checksum === true;
  // Removes the rest of an encode that failed, for example for lack of memory.
  writer.truncate(0);
  beginEnvelope(writer, ENVELOPE_MESSAGE, withChecksum);
  codec.encodeMessage(writer, fields);
  const envelope = writer.take();
  if (withChecksum) sealEnvelope(envelope);
  return envelope;
}

/**
 * Reads a message that came in an envelope. `offset` is the expected offset of the publisher, -1n for none. The fields
 * that only a broker sets (`stream`, `subject`, `timestamp`) are empty. `key`, `value` and header values are views of
 * `data`. go-liftbridge: `UnmarshalMessage`; unlike it, this reads an envelope whose payload is empty.
 *
 * @throws EnvelopeError (ENVELOPE) when the bytes are anything else; `reason` says what is wrong with them.
 */
export function decodeMessage(data: Uint8Array): Message {
  return openEnvelope(asBuffer('decodeMessage', data), ENVELOPE_MESSAGE, decodePayload);
}

function decodePayload(data: Buffer, start: number): Message {
  return codec.decodeMessage(data, start, data.length, new ReceivedMessage(), true);
}
