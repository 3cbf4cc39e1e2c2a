import { ConnectionError, type LiftbridgeError, ServerError } from './error-classes.js';
import type { ErrorDetails } from './error-details.js';
import type { Operation, StatusName } from './operations.js';

/**
 * What a status means for the next step of a call:
 * - `unavailable`: another broker, or this one later, may serve the call
 * - `not-leader`: the broker does not lead the partition (or coordinate the group); metadata is out of date
 * - `election`: the cluster has no metadata leader at the moment, or the broker does not reach it; nothing was carried out
 * - `stop-reached`, `end-of-readonly`, `empty`, `empty-range`: a read has nothing (more) to deliver
 * - `overtaken`: retention removed what was about to be read; the read goes on behind it
 * - `no-time-index`: the broker cannot find an offset for a time at the moment
 * - `not-found`: the broker does not know the stream, the partition or the cursors, or not yet
 * - `timeout`: the outcome of the call is unknown
 * - `stale-epoch`: the group has changed; the coordinator knows its new epoch
 * - `not-member`: the broker does not know the consumer as a member of the group
 * - `already-member`: the group has a member with this id
 * - `no-group`: the broker does not know the group, or does not know it yet
 * - `fenced`: a later epoch of the group reads the partition
 * - `recovering`: the broker has not caught up with the cluster; the call was not carried out and succeeds in a moment
 * - `final`: the same call would fail the same way
 */
export type StatusMeaning =
  | 'unavailable'
  | 'not-leader'
  | 'election'
  | 'stop-reached'
  | 'end-of-readonly'
  | 'empty'
  | 'empty-range'
  | 'overtaken'
  | 'no-time-index'
  | 'not-found'
  | 'timeout'
  | 'stale-epoch'
  | 'not-member'
  | 'already-member'
  | 'no-group'
  | 'fenced'
  | 'recovering'
  | 'final';

/** Makes the error of a row. */
export type Build = (message: string, details: ErrorDetails & { status: StatusName; text: string }) => LiftbridgeError;

/** One row of the table. */
export interface StatusRule {
  /** RPCs that it applies to; all when absent. */
  readonly on?: readonly Operation[];
  readonly status: StatusName | '*';
  /** Needed where several causes share a code. */
  readonly text?: RegExp;
  readonly meaning: StatusMeaning;
  readonly build: Build;
  /** What the caller can do about it. */
  readonly advice: string;
}

/** A class whose errors have nothing beside the usual details. */
export type PlainError = new (message: string, details: ErrorDetails) => LiftbridgeError;

/** Builds errors of a class that has nothing beside the usual details. */
export function plain(ErrorClass: PlainError): Build {
  return (message, details) => new ErrorClass(message, details);
}

/** Builds a `ServerError` that every further attempt would get, too. */
export const server: Build = (message, details) => new ServerError(message, details);
/** Builds a `ServerError` that a later attempt may not get. */
export const serverLater: Build = (message, details) => new ServerError(message, { ...details, retryable: true });
/** Builds the error of a broker that does not serve calls at the moment. */
export const unavailable: Build = (message, details) =>
  new ConnectionError(message, { ...details, reason: 'unavailable' });
/** Builds the error of a partition without a leader. */
export const noLeader: Build = (message, details) => new ConnectionError(message, { ...details, reason: 'no-leader' });
