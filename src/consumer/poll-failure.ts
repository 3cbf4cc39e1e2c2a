import { LiftbridgeError, type ServerError } from '../errors.js';

/**
 * What a failed look at the assignments tells:
 * - `stale-epoch`: the group has changed; the coordinator knows its new epoch
 * - `not-coordinator`: another broker coordinates the group now
 * - `not-member`: the coordinator took this consumer out of the group
 * - `no-group`: the coordinator does not know the group, or not yet
 * - `unreachable`: the coordinator did not answer
 * - `fatal`: it would fail the same way for ever
 */
export type PollFailure = 'stale-epoch' | 'not-coordinator' | 'not-member' | 'no-group' | 'unreachable' | 'fatal';

const TEXTS: readonly (readonly [RegExp, PollFailure])[] = [
  [/epoch differs/, 'stale-epoch'],
  [/not the consumer group coordinator/, 'not-coordinator'],
  [/not a member/, 'not-member'],
  [/group does not exist/, 'no-group'],
];

const FATAL = ['PERMISSION_DENIED', 'INVALID_ARGUMENT', 'CLOSED'] as const;

/** Decides what a failed FetchConsumerGroupAssignments means. */
export function pollFailure(error: unknown): PollFailure {
  if (!LiftbridgeError.is(error) || FATAL.some((code) => code === error.code)) return 'fatal';
  if (error.code !== 'SERVER') return 'unreachable';
  const { text } = error as ServerError;
  return TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? 'unreachable';
}

/** Whether a broker refused a subscription because a later epoch of the group reads the partition. */
export function isFenced(error: unknown): boolean {
  return LiftbridgeError.is(error, 'SERVER') && /not currently assigned/.test((error as ServerError).text);
}
