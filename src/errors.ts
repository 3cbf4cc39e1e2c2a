/**
 * Every error class of the package, and the one place that turns a gRPC status into one of them.
 *
 * @module
 */
export { metadataError, metadataFailure } from './errors/call-metadata.js';
export {
  AckTimeoutError,
  AmbiguousSubjectError,
  ClosedError,
  ConnectionError,
  ConsumerExistsError,
  CursorsDisabledError,
  DeserializationError,
  EncryptionError,
  EnvelopeError,
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
} from './errors/error-classes.js';
export type {
  ConnectionErrorReason,
  EnvelopeErrorReason,
  ErrorCode,
  ErrorContext,
  ErrorDetails,
} from './errors/error-details.js';
export { type Operation, STATUS_NAMES, type StatusName, statusName } from './errors/operations.js';
export { errorFromAckError, errorFromAsyncError } from './errors/publish-status.js';
export { attempt, errorFromStatus, meaningOf, statusMeaning } from './errors/status.js';
export type { StatusMeaning } from './errors/status-rule.js';
