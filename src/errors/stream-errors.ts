import { LiftbridgeError } from './root.js';

/** A stream of that name exists already. go-liftbridge: `ErrStreamExists`. */
export class StreamExistsError extends LiftbridgeError {
  override readonly name = 'StreamExistsError';
  readonly code = 'STREAM_EXISTS';
}

/** The cluster knows no stream of that name. go-liftbridge: `ErrNoSuchStream`. */
export class NoSuchStreamError extends LiftbridgeError {
  override readonly name = 'NoSuchStreamError';
  readonly code = 'NO_SUCH_STREAM';
}

/** The stream has no such partition, or does not exist. go-liftbridge: `ErrNoSuchPartition`. */
export class NoSuchPartitionError extends LiftbridgeError {
  override readonly name = 'NoSuchPartitionError';
  readonly code = 'NO_SUCH_PARTITION';
}

/** The stream was deleted while it was being read. go-liftbridge: `ErrStreamDeleted`. */
export class StreamDeletedError extends LiftbridgeError {
  override readonly name = 'StreamDeletedError';
  readonly code = 'STREAM_DELETED';
}

/** The partition is paused, or was paused while it was being read. go-liftbridge: `ErrPartitionPaused`. */
export class PartitionPausedError extends LiftbridgeError {
  override readonly name = 'PartitionPausedError';
  readonly code = 'PARTITION_PAUSED';
}

/** The partition takes no messages, or its end was reached by a reader. go-liftbridge: `ErrReadonlyPartition`. */
export class ReadonlyPartitionError extends LiftbridgeError {
  override readonly name = 'ReadonlyPartitionError';
  readonly code = 'READONLY_PARTITION';
}

/** Several streams listen on the subject and the call needs exactly one of them. */
export class AmbiguousSubjectError extends LiftbridgeError {
  override readonly name = 'AmbiguousSubjectError';
  readonly code = 'AMBIGUOUS_SUBJECT';
}

/** The server keeps no cursors: its `cursors.stream.partitions` is 0. */
export class CursorsDisabledError extends LiftbridgeError {
  override readonly name = 'CursorsDisabledError';
  readonly code = 'CURSORS_DISABLED';
}

/** A consumer of that id is already a member of the group, or this consumer is already subscribed. */
export class ConsumerExistsError extends LiftbridgeError {
  override readonly name = 'ConsumerExistsError';
  readonly code = 'CONSUMER_EXISTS';
}

/** The group has no offset for a partition and `autoOffset` is 'none'. */
export class NoOffsetError extends LiftbridgeError {
  override readonly name = 'NoOffsetError';
  readonly code = 'NO_OFFSET';
}
