import { HandlerError } from './error-classes.js';
import type { ErrorContext } from './error-details.js';
import { excerpt } from './quote.js';

/** The application's metadata for a call could not be had, so the call was not sent. */
export class CallMetadataError extends Error {
  override readonly name = 'CallMetadataError';

  /** `isInvalid`: there is metadata, and gRPC cannot carry it; asking again does not help. */
  constructor(
    message: string,
    readonly isInvalid: boolean,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** What a call failed of when the application's metadata could not be had; undefined when it failed of something else. */
export function metadataFailure(cause: unknown): CallMetadataError | undefined {
  return cause instanceof CallMetadataError ? cause : undefined;
}

/**
 * The error for a call whose metadata could not be had ('Ping', 'Publish of stream "orders"'): it was not sent. A function
 * that throws or rejects may succeed later; what it returns and gRPC cannot carry is refused again.
 */
export function metadataError(attempted: string, failure: CallMetadataError, context: ErrorContext): HandlerError {
  const text = `${attempted} failed: ${excerpt(failure.message)}. Nothing was sent. Correct the option "metadata".`;
  return new HandlerError(text, { ...context, cause: failure.cause, retryable: !failure.isInvalid });
}
