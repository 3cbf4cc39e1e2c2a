import { milliseconds, signal } from './rules.js';
import type { Shape } from './validate.js';

/** Taken by every call that waits. */
export interface CallOptions {
  /** Ends the wait: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the call may take, retries included. Default: the client's own limit for this kind of call. */
  readonly timeout?: number | undefined;
}

/** The rules of CallOptions, to spread into the shape of a call. */
export const CALL_SHAPE = {
  signal,
  timeout: milliseconds(0),
} satisfies Shape<CallOptions>;
