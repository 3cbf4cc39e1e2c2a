/**
 * Publishing to Liftbridge over a connection of the `nats` (2.x) or `@nats-io/transport-node` (3.x) package: keys,
 * headers and acks for services that speak NATS only. Neither package is loaded from here.
 *
 * @module liftbridge-client/nats
 */
export type { Ack, AckError, AckPolicy, EnvelopeOptions, Value } from './envelope.js';
export {
  AckTimeoutError,
  ClosedError,
  ConnectionError,
  EncryptionError,
  IncorrectOffsetError,
  InvalidArgumentError,
  LiftbridgeError,
  MessageTooLargeError,
  PermissionDeniedError,
  TimeoutError,
} from './errors.js';
export type { NatsConnection, NatsMessage, NatsStatus, NatsSubscription } from './nats/connection.js';
export { type NatsPublisher, natsPublisher } from './nats/nats-publisher.js';
export type { NatsPublisherOptions, NatsPublishOptions } from './nats/publisher-options.js';
