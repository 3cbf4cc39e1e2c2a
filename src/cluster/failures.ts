import { excerpt } from '../errors/quote.js';
import {
  attempt,
  ConnectionError,
  type ErrorContext,
  errorFromStatus,
  metadataError,
  metadataFailure,
  type Operation,
} from '../errors.js';
import { RpcFailure } from '../transport/status.js';

/** Characters of the transport's own words, which hold an address and an excerpt. */
const LONGEST_DETAILS = 600;

/** Converts the failure of a call to an error of the client. Reasons of aborted signals pass through as they are. */
export function toError(operation: Operation, failure: unknown, context: ErrorContext): unknown {
  if (!(failure instanceof RpcFailure)) return failure;
  const metadata = metadataFailure(failure.cause);
  if (metadata !== undefined) return metadataError(attempt(operation, context), metadata, { ...context, operation });
  if (failure.connection === undefined) return errorFromStatus(operation, failure, { ...context, cause: failure });
  return new ConnectionError(`${attempt(operation, context)} failed: ${detailsOf(failure, context)}`, {
    ...context,
    operation,
    cause: failure,
    reason: failure.connection,
    outcome: failure.sent ? 'unknown' : 'not-sent',
  });
}

/** The error for a broker that cannot be reached. Anything but a failure of the transport passes through as it is. */
export function toConnectionError(failure: unknown, context: ErrorContext & { readonly operation: string }): unknown {
  if (!(failure instanceof RpcFailure)) return failure;
  return new ConnectionError(`${attempt(context.operation, context)} failed: ${detailsOf(failure, context)}`, {
    ...context,
    cause: failure,
    reason: failure.connection ?? 'unavailable',
    outcome: failure.sent ? 'unknown' : 'not-sent',
  });
}

/** What the transport says, without the address where the broker is called by it already. */
function detailsOf({ details }: RpcFailure, { broker }: ErrorContext): string {
  const isNamed = broker !== undefined && details.startsWith(`${broker}: `);
  return excerpt(isNamed ? details.slice(broker.length + 2) : details, LONGEST_DETAILS);
}

/** The stream and partition that a request names, for the context of its error. */
export function aboutRequest(request: unknown): ErrorContext {
  const { stream, name, partition } = request as { stream?: string; name?: string; partition?: number };
  return { stream: stream ?? name, partition };
}
