import { excerpt } from '../errors/quote.js';
import {
  attempt,
  ConnectionError,
  type ErrorContext,
  errorFromStatus,
  LiftbridgeError,
  metadataError,
  metadataFailure,
  NoSuchPartitionError,
  NoSuchStreamError,
  ServerError,
  type StatusMeaning,
  StreamDeletedError,
  statusMeaning,
  TimeoutError,
} from '../errors.js';
import { Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';

/** Before and after the confirmation the same status may mean different things. */
export type ReadPhase = 'Subscribe' | 'Subscription';

/** The partition that an error is about, and its broker where that is known. */
export type Place = ErrorContext & { readonly stream: string; readonly partition: number };

/** The meaning of the end of a call. A connection that broke, or a stream that was reset, says nothing about the partition. */
export function meaningOfEnd(phase: ReadPhase, end: StreamEnd): StatusMeaning {
  if (end.code === Status.OK) return 'unavailable';
  if (!isStatus(end)) return 'unavailable';
  return statusMeaning(phase, { code: end.code, details: end.message });
}

/** Whether the end is a status, of the server or of a proxy before it, and not only a connection that broke. */
function isStatus(end: StreamEnd): boolean {
  return !end.transport || end.httpStatus !== undefined || isTooLarge(end);
}

/** A message beyond the limit of the client is beyond it the next time, too. */
function isTooLarge({ code, message }: StreamEnd): boolean {
  return code === Status.RESOURCE_EXHAUSTED && /larger than/.test(message);
}

/** The error for the end of a call. */
export function errorOfEnd(phase: ReadPhase, end: StreamEnd, place: Place): LiftbridgeError {
  const metadata = metadataFailure(end.cause);
  if (metadata !== undefined) return metadataError(attempt(phase, place), metadata, { ...place, operation: phase });
  if (end.code !== Status.OK && isStatus(end))
    return errorFromStatus(phase, { code: end.code, details: end.message }, { ...place, ...causeOf(end) });
  const why = end.code === Status.OK ? 'the broker ended it' : `${excerpt(end.message)} (${end.codeName})`;
  const text = `Subscription to stream "${place.stream}", partition ${place.partition} broke: ${why}.`;
  return new ConnectionError(text, { ...place, operation: phase, reason: 'lost', cause: end.cause });
}

function causeOf({ cause }: StreamEnd): { readonly cause?: unknown } {
  return cause === undefined ? {} : { cause };
}

/** Whether a call failed because a broker does not know the stream or the partition. */
export function seemsUnknown(error: unknown): boolean {
  return LiftbridgeError.is(error, 'NO_SUCH_PARTITION') || LiftbridgeError.is(error, 'NO_SUCH_STREAM');
}

/** The error for a stream that the cluster does not know. */
export function noSuchStream(stream: string): NoSuchStreamError {
  const message = `Subscribe to stream "${stream}" failed: the cluster knows no stream of that name. Create it first, or check the name.`;
  return new NoSuchStreamError(message, { stream, operation: 'Subscribe' });
}

/** The error for a partition that the stream does not have. */
export function noSuchPartition(stream: string, partition: number, count: number): NoSuchPartitionError {
  const message = `Subscribe to stream "${stream}", partition ${partition} failed: its partitions are 0 to ${count - 1}.`;
  return new NoSuchPartitionError(message, { stream, partition, operation: 'Subscribe' });
}

/** The error for a partition without a leader to read from. */
export function noLeader(stream: string, partition: number, why: string): ConnectionError {
  const message = `Subscription to stream "${stream}", partition ${partition}: ${why}.`;
  return new ConnectionError(message, {
    stream,
    partition,
    operation: 'Subscribe',
    reason: 'no-leader',
    outcome: 'not-sent',
  });
}

/** The error for a stream that was deleted, or replaced by another one of its name. */
export function streamDeleted({ stream, partition }: Place, cause?: unknown): StreamDeletedError {
  const why =
    cause === undefined ? 'it was deleted and created again' : 'the cluster does not know the stream any more';
  const message = `Subscription to stream "${stream}", partition ${partition} ended: ${why}. Subscribe again, or stop reading it.`;
  return new StreamDeletedError(message, { stream, partition, operation: 'Subscription', cause });
}

/** The error for a subscription that no broker confirmed in time; `cause` is the last failure. */
export function notConfirmed({ stream, partition }: Place, timeout: number, cause: unknown): LiftbridgeError {
  if (LiftbridgeError.is(cause, 'CONNECTION') || LiftbridgeError.is(cause, 'HANDLER_FAILED')) return cause;
  const message = `Subscribe to stream "${stream}", partition ${partition} was not confirmed within ${timeout} ms.`;
  return new TimeoutError(message, { stream, partition, operation: 'Subscribe', cause });
}

/** The error for a server that reads forward when asked to read in reverse. */
export function noReverse({ stream, partition }: Place): ServerError {
  const text = 'the server reads forward: it knows no reverse reads';
  const message = `Subscribe to stream "${stream}", partition ${partition} failed: ${text}. Liftbridge has them after v1.9.0.`;
  return new ServerError(message, { stream, partition, operation: 'Subscribe', status: 'UNIMPLEMENTED', text });
}
