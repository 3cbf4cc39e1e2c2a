/**
 * Every error class of the package, and the one place that turns a gRPC status into one of them.
 *
 * @module
 */
export {
  ClosedError,
  ConnectionError,
  type ConnectionErrorReason,
  HandlerError,
  InvalidArgumentError,
  PermissionDeniedError,
  ServerError,
  TimeoutError,
} from './errors/call-errors.js';
export { metadataError, metadataFailure } from './errors/call-metadata.js';
export {
  AckTimeoutError,
  DeserializationError,
  EncryptionError,
  EnvelopeError,
  type EnvelopeErrorReason,
  IncorrectOffsetError,
  MessageTooLargeError,
} from './errors/message-errors.js';
export { type Operation, STATUS_NAMES, type StatusName, statusName } from './errors/operations.js';
export { errorFromAckError, errorFromAsyncError } from './errors/publish-status.js';
export {
  type ErrorCode,
  type ErrorContext,
  type ErrorDetails,
  LiftbridgeError,
  UnexpectedError,
} from './errors/root.js';
export { attempt, errorFromStatus, meaningOf, type RpcStatus, statusMeaning } from './errors/status.js';
export type { StatusMeaning } from './errors/status-rules.js';
export {
  AmbiguousSubjectError,
  ConsumerExistsError,
  CursorsDisabledError,
  NoOffsetError,
  NoSuchPartitionError,
  NoSuchStreamError,
  PartitionPausedError,
  ReadonlyPartitionError,
  StreamDeletedError,
  StreamExistsError,
} from './errors/stream-errors.js';
