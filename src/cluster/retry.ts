import { retryWithBackoff } from '../async/backoff.js';
import {
  ConnectionError,
  metadataFailure,
  NoSuchPartitionError,
  type Operation,
  type StatusMeaning,
  statusMeaning,
} from '../errors.js';
import type { ResolvedClientOptions } from '../options.js';
import { RpcFailure } from '../transport/status.js';
import type { EventHub } from './events.js';
import { toError } from './failures.js';
import { LookupMiss } from './leader-lookup.js';

/** The reaction to a failed attempt. `refresh`: the cached metadata is out of date, so it is fetched before the next attempt. */
export type Advice = 'fail' | 'retry' | 'refresh';

/** Calls that store a message each time they are carried out. A join that was carried out refuses the second one. */
const NOT_REPEATABLE: ReadonlySet<Operation> = new Set(['Publish', 'PublishToSubject', 'JoinConsumerGroup']);

/** Failures that pass: the same call succeeds later, at this broker or another one. */
const PASSING: ReadonlySet<StatusMeaning> = new Set(['unavailable', 'election', 'timeout', 'recovering']);

/** Lookups of a partition before it counts as missing: some brokers learn of a recreated stream a moment later. */
const LOOKUPS_OF_PARTITION = 3;

/** Whether carrying the call out twice comes to the same as once. */
export function isRepeatable(operation: Operation): boolean {
  return !NOT_REPEATABLE.has(operation);
}

/** Whether the attempt may have been carried out although it failed. */
export function isAmbiguous(operation: Operation, failure: unknown): boolean {
  if (!(failure instanceof RpcFailure) || !failure.sent) return false;
  const meaning = failure.connection === undefined ? statusMeaning(operation, failure) : 'unavailable';
  return meaning === 'unavailable' || meaning === 'timeout';
}

/** Whether the broker did not know what the call is about: it may have been started a moment ago. */
export function isNotFound(operation: Operation, failure: unknown): failure is RpcFailure {
  if (!(failure instanceof RpcFailure) || failure.connection !== undefined) return false;
  return statusMeaning(operation, failure) === 'not-found';
}

/** Decides what follows a failed attempt, counted from 1. The delay is decided elsewhere. */
export function advise(operation: Operation, failure: unknown, attempt: number): Advice {
  if (failure instanceof LookupMiss) {
    if (failure.error instanceof ConnectionError) return 'refresh';
    return failure.error instanceof NoSuchPartitionError && attempt < LOOKUPS_OF_PARTITION ? 'refresh' : 'fail';
  }
  if (!(failure instanceof RpcFailure)) return 'fail';
  const metadata = metadataFailure(failure.cause);
  if (metadata !== undefined) return metadata.isInvalid ? 'fail' : 'retry';
  if (failure.connection?.startsWith('tls-') === true || failure.connection === 'closed') return 'fail';
  const meaning = failure.connection === undefined ? statusMeaning(operation, failure) : 'unavailable';
  if (meaning === 'not-leader' || meaning === 'not-found') return 'refresh';
  if (!PASSING.has(meaning)) return 'fail';
  return isRepeatable(operation) || !isAmbiguous(operation, failure) ? 'retry' : 'fail';
}

/** Settings of a retried call. */
export interface RetryRun {
  readonly operation: Operation;
  readonly retry: ResolvedClientOptions['retry'];
  readonly signal: AbortSignal;
  readonly hub: EventHub;
  /** Whether another attempt counts. One that waits for certainty by itself, until the time is up, need not. */
  readonly counts?: (failure: unknown) => boolean;
}

/** Runs attempts, numbered from 1, until one succeeds, the decision says no, attempts run out or the signal aborts. */
export function withRetries<Result>(run: RetryRun, attempt: (number: number) => Promise<Result>): Promise<Result> {
  const { operation, retry, signal, hub, counts } = run;
  return retryWithBackoff(
    {
      attempts: retry.attempts,
      backoff: { first: retry.minDelay, longest: Math.max(retry.minDelay, retry.maxDelay) },
      signal,
      shouldRetry: (failure, number) => advise(operation, failure, number) !== 'fail',
      ...(counts === undefined ? {} : { counts }),
      onRetry: (failure, number, delay) =>
        hub.emit('retry', { operation, attempt: number, delay, error: toError(operation, failure, {}) }),
    },
    attempt,
  );
}
