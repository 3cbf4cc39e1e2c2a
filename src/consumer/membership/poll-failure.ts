import { LiftbridgeError, meaningOf } from '../../errors.js';
import { seemsUnknown } from '../../subscribe/subscribe-errors.js';

/**
 * The meaning of a failed FetchConsumerGroupAssignments:
 * - `stale-epoch`: the group has changed; the coordinator knows its new epoch
 * - `not-coordinator`: another broker coordinates the group now
 * - `denied`: the coordinator does not know the group or the member, or does not know it yet
 * - `unreachable`: the coordinator did not answer, or is recovering
 * - `fatal`: every further attempt would fail the same way
 */
export type PollFailure = 'stale-epoch' | 'not-coordinator' | 'denied' | 'unreachable' | 'fatal';

const FATAL = ['PERMISSION_DENIED', 'INVALID_ARGUMENT', 'CLOSED'] as const;

/** Whether another attempt can never help: the same call fails the same way for good. */
export function isFatal(error: unknown): boolean {
  if (FATAL.some((code) => LiftbridgeError.is(error, code))) return true;
  return LiftbridgeError.is(error, 'CONNECTION') && !error.retryable;
}

/** Decides what a failed FetchConsumerGroupAssignments means. */
export function pollFailure(error: unknown): PollFailure {
  if (!LiftbridgeError.is(error) || isFatal(error)) return 'fatal';
  switch (meaningOf(error)) {
    case 'stale-epoch':
      return 'stale-epoch';
    case 'not-leader':
      return 'not-coordinator';
    case 'not-member':
    case 'no-group':
      return 'denied';
    default:
      return 'unreachable';
  }
}

/** Whether a broker refused a subscription because a later epoch of the group reads the partition. */
export function isFenced(error: unknown): boolean {
  return meaningOf(error) === 'fenced';
}

/** Whether a broker does not know the stream: it was deleted, or the broker is recovering. */
export function seemsGone(error: unknown): boolean {
  return LiftbridgeError.is(error, 'STREAM_DELETED') || seemsUnknown(error);
}
