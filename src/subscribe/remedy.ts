import { errorFromStatus, LiftbridgeError, metadataFailure } from '../errors.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { NotConfirmed } from './subscribe-call.js';
import { errorOfEnd, meaningOfEnd, type Place } from './subscribe-errors.js';

/** The next step of a reader. */
export type Remedy =
  | { readonly kind: 'retry'; readonly error: LiftbridgeError }
  /** Finds out whether the stream still exists; retries while that is not certain. */
  | { readonly kind: 'check-existence'; readonly error: LiftbridgeError }
  | { readonly kind: 'fail'; readonly error: unknown }
  | { readonly kind: 'done' };

/** The broker has nothing at the start of the range. `isCutBack`: its log may end before that offset. */
export interface Empty {
  readonly kind: 'empty';
  readonly error: LiftbridgeError;
  readonly isCutBack: boolean;
}

/** The broker has reached the end of what it delivers on one call. */
export interface StopReached {
  readonly kind: 'stop-reached';
  readonly error: LiftbridgeError;
}

/** The remedy for a failed attempt to open a call. */
export function remedyOfFailure(error: unknown, place: Place): Remedy | Empty {
  if (error instanceof NotConfirmed) return remedyOfRefusal(error.end, place);
  if (error instanceof RpcFailure) return { kind: 'retry', error: errorFromStatus('Subscribe', error, place) };
  if (LiftbridgeError.is(error) && error.retryable) return { kind: 'retry', error };
  return { kind: 'fail', error };
}

function remedyOfRefusal(end: StreamEnd, place: Place): Remedy | Empty {
  const error = errorOfEnd('Subscribe', end, place);
  if (metadataFailure(end.cause) !== undefined) return { kind: error.retryable ? 'retry' : 'fail', error };
  if (end.code === Status.NOT_FOUND && !end.transport) return { kind: 'check-existence', error };
  switch (meaningOfEnd('Subscribe', end)) {
    case 'unavailable':
    case 'not-leader':
    case 'election':
    case 'timeout':
    // A look-up by time fails on an empty partition, and while its newest segment is empty.
    case 'no-time-index':
      return { kind: 'retry', error };
    case 'stop-reached':
    case 'end-of-readonly':
    case 'empty-range':
      return { kind: 'done' };
    case 'empty':
      return { kind: 'empty', error, isCutBack: end.code === Status.INTERNAL };
    default:
      return { kind: 'fail', error };
  }
}

/** The remedy for the end of a call that was confirmed. */
export function remedyOfEnd(end: StreamEnd, place: Place): Remedy | StopReached {
  const error = errorOfEnd('Subscription', end, place);
  if (LiftbridgeError.is(error, 'STREAM_DELETED')) return { kind: 'check-existence', error };
  switch (meaningOfEnd('Subscription', end)) {
    case 'unavailable':
    case 'not-leader':
    case 'timeout':
    case 'overtaken':
      return { kind: 'retry', error };
    case 'stop-reached':
      return { kind: 'stop-reached', error };
    case 'end-of-readonly':
    case 'empty':
      return { kind: 'done' };
    default:
      return { kind: 'fail', error };
  }
}
