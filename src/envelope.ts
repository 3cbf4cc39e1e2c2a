/**
 * Liftbridge envelopes, for services that speak NATS themselves: keys, headers and acks on messages that are published
 * to the NATS subject of a stream. No network code is behind it.
 *
 * @module liftbridge-client/envelope
 */
export { decodeAck, encodeAck } from './envelope/ack-envelope.js';
export { isEnvelope } from './envelope/envelope-data.js';
export type { EnvelopeOptions, Value } from './envelope/envelope-options.js';
export { decodeMessage, encodeMessage } from './envelope/message-envelope.js';
export {
  DeserializationError,
  EnvelopeError,
  type EnvelopeErrorReason,
  InvalidArgumentError,
  LiftbridgeError,
} from './errors.js';
export type { AckPolicy } from './protocol/ack-policy.js';
export type { Ack, AckError, AckFields } from './protocol/received-ack.js';
export type { Message } from './protocol/received-message.js';
