import { type Deadline, type Waiting, withDeadline } from '../async/deadline.js';
import { excerpt } from '../errors/quote.js';
import {
  attempt,
  ConnectionError,
  type ErrorContext,
  errorFromStatus,
  LiftbridgeError,
  metadataFailure,
  type Operation,
  statusName,
} from '../errors.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { UnaryMethodDefinition } from '../transport/unary.js';
import type { BrokerConnection, ConnectionSettings } from './broker-connection.js';
import type { CallBounds } from './cluster-api.js';
import { aboutRequest, toError } from './failures.js';
import { LookupMiss } from './leader-lookup.js';
import { isAmbiguous, isNotFound, isRepeatable, withRetries } from './retry.js';
import { MIN_ATTEMPT_MS } from './timing.js';

/** One unary call to any broker. */
export interface Call<Request, Response> {
  readonly operation: Operation;
  readonly method: UnaryMethodDefinition<Request, Response>;
  readonly request: Request;
  readonly bounds: CallBounds;
  /** The broker that an attempt goes to; `last` is the failure of the attempt before. Throws LookupMiss when no broker is known. */
  target(attempt: number, tried: ReadonlySet<string>, last: unknown, deadline: Deadline): Promise<BrokerConnection>;
  /** Number of the one connection that may carry the attempt. */
  readonly connection?: () => number | undefined;
  /**
   * Waits, after a broker that did not know what the call is about, until another attempt makes sense. Throws LookupMiss
   * when it certainly does not exist.
   */
  readonly unknown?: (failure: RpcFailure, deadline: Deadline) => Promise<void>;
}

/** Share of the whole time that one attempt of a repeatable call has, so that a silent broker leaves time for another. */
export const ATTEMPT_SHARE = 1 / 3;

/** Runs unary calls: within their time, with retries where they are safe, and and with one kind of error. */
export class UnaryCaller {
  readonly #settings: ConnectionSettings;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /** Runs any work within the caller's bounds, `requestTimeout` by default; `late` makes the error for a lack of time. */
  bounded<Result>(
    waiting: Waiting,
    late: (timeout: number) => Error,
    work: (deadline: Deadline) => Promise<Result>,
  ): Promise<Result> {
    const { options, closed } = this.#settings;
    return withDeadline({ waiting, timeout: options.requestTimeout, closed, late }, work);
  }

  /** Makes a call. Rejects with a LiftbridgeError, or with the reason of the caller's signal. */
  async run<Request, Response>(
    call: Call<Request, Response>,
    attempts = this.#settings.options.retry.attempts,
  ): Promise<Response> {
    const { operation, bounds, request } = call;
    const { options, hub } = this.#settings;
    const state: CallState = { tried: new Set(), last: undefined, broker: undefined };
    const context = (): ErrorContext => ({ ...aboutRequest(request), broker: state.broker });
    const late = (timeout: number): Error => outOfTime(operation, timeout, state.last, context());
    const retry = { ...options.retry, attempts };
    try {
      return await this.bounded(bounds, late, async (deadline) => {
        const counts = (failure: unknown): boolean => call.unknown === undefined || !isNotFound(operation, failure);
        const run = { operation, retry, signal: deadline.signal, hub, counts };
        try {
          return await withRetries(run, (number) => tryOnce(call, state, number, deadline, attempts));
        } catch (error) {
          if (call.unknown === undefined || !isNotFound(operation, error)) throw error;
          await call.unknown(error, deadline);
          throw notKnownYet(operation, error, context());
        }
      });
    } catch (error) {
      throw error instanceof LookupMiss ? error.error : toError(operation, error, context());
    }
  }
}

interface CallState {
  /** Addresses of the brokers that were asked. */
  readonly tried: Set<string>;
  last: unknown;
  broker: string | undefined;
}

async function tryOnce<Request, Response>(
  call: Call<Request, Response>,
  state: CallState,
  number: number,
  deadline: Deadline,
  attempts: number,
): Promise<Response> {
  const { operation, method, request, bounds } = call;
  let connection: BrokerConnection | undefined;
  try {
    if (call.unknown !== undefined && isNotFound(operation, state.last)) await call.unknown(state.last, deadline);
    connection = await call.target(number, state.tried, state.last, deadline);
    state.broker = connection.id;
    state.tried.add(connection.address);
    const timeout = attemptTime(operation, deadline, attempts);
    const only = call.connection?.();
    return await connection.call(method, request, { timeout, signal: deadline.signal, connection: only });
  } catch (error) {
    state.last = error;
    if (isOwed(operation, error)) connection?.markSuspect();
    if (bounds.trace !== undefined && isAmbiguous(operation, error)) bounds.trace.ambiguous = true;
    throw error;
  }
}

/** Whether a running broker would have answered. It never answers a publish to a subject without subscribers. */
function isOwed(operation: Operation, failure: unknown): boolean {
  return failure instanceof RpcFailure && failure.code === Status.DEADLINE_EXCEEDED && isRepeatable(operation);
}

function attemptTime(operation: Operation, deadline: Deadline, attempts: number): number {
  const { remaining } = deadline;
  if (attempts === 1 || !isRepeatable(operation)) return remaining;
  return Math.min(remaining, Math.max(MIN_ATTEMPT_MS, deadline.timeout * ATTEMPT_SHARE));
}

/** The error where no attempt is left and the stream exists all the same. */
function notKnownYet(operation: Operation, failure: RpcFailure, context: ErrorContext): ConnectionError {
  const text = `${attempt(operation, context)} failed: the broker does not know what another broker knows: ${excerpt(failure.details)}. It may have just started: try again.`;
  return new ConnectionError(text, {
    ...context,
    operation,
    cause: failure,
    reason: 'unavailable',
    outcome: 'not-sent',
  });
}

/** Why the last attempt failed, without the advice of its error. An attempt that timed out itself adds nothing. */
function whyLast(last: unknown): string {
  if (last instanceof LookupMiss) return `; the last attempt failed: ${last.error.message}`;
  if (!(last instanceof RpcFailure) || last.code === Status.DEADLINE_EXCEEDED) return '';
  return `; the last attempt failed: ${excerpt(last.details)} (${statusName(last.code)})`;
}

/** The error of a call whose time is up; it names the failure of the last attempt, if there was one. */
export function outOfTime(
  operation: Operation,
  timeout: number,
  last: unknown,
  context: ErrorContext = {},
): LiftbridgeError {
  // A function of the application that failed until the time was up is the reason, not the time.
  if (last instanceof RpcFailure && metadataFailure(last.cause) !== undefined)
    return LiftbridgeError.from(toError(operation, last, context));
  const cause = last instanceof LookupMiss ? last.error : last === undefined ? undefined : toError(operation, last, {});
  const details = `no answer within ${Math.round(timeout)} ms${whyLast(last)}`;
  return errorFromStatus(operation, { code: Status.DEADLINE_EXCEEDED, details }, { ...context, cause });
}
