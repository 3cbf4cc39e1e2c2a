import { excerpt } from '../errors/quote.js';
import {
  attempt,
  ConnectionError,
  type ErrorContext,
  errorFromStatus,
  LiftbridgeError,
  metadataError,
  metadataFailure,
  ServerError,
  type StatusMeaning,
  StreamDeletedError,
  statusMeaning,
  TimeoutError,
} from '../errors.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { NotConfirmed } from './subscribe-call.js';

/** What to do about an attempt that failed: try again, look whether the stream is gone, nothing more to read, or give up. */
export type Remedy =
  | { readonly retry: unknown }
  | { readonly missing: LiftbridgeError }
  | { readonly give: unknown }
  | 'done'
  | 'empty'
  | 'no-time-index';

/** Before and after the confirmation the same status may mean different things. */
export type ReadPhase = 'Subscribe' | 'Subscription';

type Place = ErrorContext & { readonly stream: string; readonly partition: number };

/** What the end of a call means. A connection that broke, or a stream that was reset, says nothing about the partition. */
export function meaningOfEnd(phase: ReadPhase, end: StreamEnd): StatusMeaning {
  if (end.code === Status.OK) return 'unavailable';
  if (end.transport && !isTooLarge(end)) return 'unavailable';
  return statusMeaning(phase, { code: end.code, details: end.message });
}

/** A message that this side does not take would be too large the next time, too. */
function isTooLarge({ code, message }: StreamEnd): boolean {
  return code === Status.RESOURCE_EXHAUSTED && /larger than/.test(message);
}

/** The error for the end of a call. */
export function errorOfEnd(phase: ReadPhase, end: StreamEnd, place: Place): LiftbridgeError {
  const metadata = metadataFailure(end.cause);
  if (metadata !== undefined) return metadataError(attempt(phase, place), metadata, { ...place, operation: phase });
  if (isTooLarge(end) || (end.code !== Status.OK && !end.transport))
    return errorFromStatus(phase, { code: end.code, details: end.message }, { ...place, ...causeOf(end) });
  const why = end.code === Status.OK ? 'the broker ended it' : `${excerpt(end.message)} (${end.codeName})`;
  const text = `Subscription to stream "${place.stream}", partition ${place.partition} broke: ${why}.`;
  return new ConnectionError(text, { ...place, operation: phase, reason: 'lost', cause: end.cause });
}

function causeOf({ cause }: StreamEnd): { readonly cause?: unknown } {
  return cause === undefined ? {} : { cause };
}

/** What to do about an attempt to open a call that failed. */
export function remedyOf(error: unknown, place: Place): Remedy {
  if (error instanceof NotConfirmed) return remedyOfEnd(error.end, place);
  if (error instanceof RpcFailure) return { retry: errorFromStatus('Subscribe', error, place) };
  if (LiftbridgeError.is(error) && error.retryable) return { retry: error };
  return { give: error };
}

function remedyOfEnd(end: StreamEnd, place: Place): Remedy {
  const error = errorOfEnd('Subscribe', end, place);
  if (metadataFailure(end.cause) !== undefined) return error.retryable ? { retry: error } : { give: error };
  if (end.code === Status.NOT_FOUND && !end.transport) return { missing: error };
  switch (meaningOfEnd('Subscribe', end)) {
    case 'unavailable':
    case 'not-leader':
    case 'election':
    case 'timeout':
      return { retry: error };
    case 'stop-reached':
    case 'end-of-readonly':
    case 'empty-range':
      return 'done';
    case 'empty':
      return 'empty';
    case 'no-time-index':
      return 'no-time-index';
    default:
      return { give: error };
  }
}

/** The error for a stream that is gone, or has been replaced by another one of its name. */
export function streamDeleted({ stream, partition }: Place, cause?: unknown): StreamDeletedError {
  const why =
    cause === undefined ? 'it was deleted and created again' : 'the cluster does not know the stream any more';
  const message = `Subscription to stream "${stream}", partition ${partition} ended: ${why}. Subscribe again, or stop reading it.`;
  return new StreamDeletedError(message, { stream, partition, operation: 'Subscription', cause });
}

/** The error for a subscription that no broker confirmed in time, for want of what `cause` tells. */
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
