/**
 * The Liftbridge client.
 *
 * @module liftbridge-client
 */

// The activity stream
export type { ActivityEvent } from './admin/activity.js';
export type { FetchMetadataOptions } from './admin/metadata-api.js';
// Streams
export type {
  CreateStreamOptions,
  PauseStreamOptions,
  SetStreamReadonlyOptions,
  StreamOptions,
} from './admin/stream-options.js';
// Connecting
export { Client, type ClientEvents } from './client.js';
// Metadata
export type { BrokerInfo, EventTimes, GroupInfo, Metadata, PartitionInfo, StreamInfo } from './cluster/cluster-api.js';
export { connect } from './connect.js';
// Consumer groups
export { Consumer } from './consumer/consumer.js';
export type {
  AutoOffset,
  ConsumeOptions,
  ConsumerCloseOptions,
  ConsumerOptions,
  PartitionsCallback,
} from './consumer/consumer-options.js';
export type { PartitionLag } from './consumer/partitions/lag.js';
export type { HandlerContext, MessageHandler, RunOptions } from './consumer/run-options.js';
// Errors
export {
  AckTimeoutError,
  AmbiguousSubjectError,
  ClosedError,
  ConnectionError,
  type ConnectionErrorReason,
  ConsumerExistsError,
  CursorsDisabledError,
  DeserializationError,
  EncryptionError,
  EnvelopeError,
  type ErrorCode,
  type ErrorWithCode,
  HandlerError,
  IncorrectOffsetError,
  InvalidArgumentError,
  LiftbridgeError,
  MessageTooLargeError,
  NoOffsetError,
  NoSuchPartitionError,
  NoSuchStreamError,
  PartitionPausedError,
  PermissionDeniedError,
  ReadonlyPartitionError,
  ServerError,
  StreamDeletedError,
  StreamExistsError,
  TimeoutError,
  UnexpectedError,
} from './errors.js';
// Options
export type { CallOptions, ClientOptions, Logger, PublishDefaults } from './options.js';
export type { AckPolicy } from './protocol/ack-policy.js';
export type { Json } from './protocol/json.js';
export type { Ack, AckError } from './protocol/received-ack.js';
export type { Message } from './protocol/received-message.js';
// Publishing
export {
  type Partitioner,
  partitionByKey,
  partitionByMurmur,
  partitionByRoundRobin,
  toPartition,
} from './publish/partitioners.js';
export type { PublishResult } from './publish/publish-batch.js';
export type { OutgoingMessage, PublishOptions, Value } from './publish/publish-options.js';
// Subscribing
export { ActivityFeed } from './subscribe/activity-feed.js';
export type { StartAt, StopAt, SubscribeOptions } from './subscribe/positions.js';
export { Subscription } from './subscribe/subscription.js';
export type { TlsOptions } from './transport/credentials.js';
