import {
  EncryptionError,
  IncorrectOffsetError,
  InvalidArgumentError,
  type LiftbridgeError,
  MessageTooLargeError,
  NoSuchPartitionError,
  NoSuchStreamError,
  PermissionDeniedError,
  ReadonlyPartitionError,
  ServerError,
} from './error-classes.js';
import type { ErrorContext, ErrorDetails } from './error-details.js';
import { excerpt } from './quote.js';
import { LONGEST_SEARCHED, NO_RESUME, TOO_LARGE, WITHOUT_NATS } from './server-texts.js';
import { attempt } from './status.js';
import type { PlainError } from './status-rule.js';

interface Refusal {
  /** Name of the code on the wire. */
  readonly name: string;
  /** Absent: ServerError. */
  readonly error?: PlainError;
  readonly advice: string;
  readonly retryable?: boolean;
}

const UNKNOWN: Refusal = { name: 'UNKNOWN', advice: 'See the log of the broker.' };
const WRONG_OFFSET: Refusal = {
  name: 'INCORRECT_OFFSET',
  error: IncorrectOffsetError,
  advice: 'Read the newest offset and publish with the one after it.',
};
const MESSAGE_TOO_LARGE: Refusal = {
  name: 'TOO_LARGE',
  error: MessageTooLargeError,
  advice: "Make it smaller, or raise NATS' max_payload and the server's clustering.replication.max.bytes.",
};
const NOT_ENCRYPTED: Refusal = {
  name: 'ENCRYPTION',
  error: EncryptionError,
  advice: 'Check the encryption key of the broker.',
};

/** By the number of a PublishAsyncError code. */
const ASYNC_ERRORS: readonly Refusal[] = [
  UNKNOWN,
  {
    name: 'BAD_REQUEST',
    error: InvalidArgumentError,
    advice: "A stream with optimistic concurrency control takes no publish with ackPolicy 'none'.",
  },
  { name: 'NOT_FOUND', error: NoSuchPartitionError, advice: 'Check the name of the stream and the partition.' },
  { name: 'INTERNAL', advice: 'The message did not reach NATS: see the log of the broker.' },
  {
    name: 'READONLY',
    error: ReadonlyPartitionError,
    advice: 'Make the partition writable with setStreamReadonly first.',
  },
  WRONG_OFFSET,
  NOT_ENCRYPTED,
  { name: 'PERMISSION_DENIED', error: PermissionDeniedError, advice: "Grant it in the server's authorization policy." },
];

/** By the number of an ack error; 0 is no error. */
const ACK_ERRORS: readonly Refusal[] = [UNKNOWN, UNKNOWN, WRONG_OFFSET, MESSAGE_TOO_LARGE, NOT_ENCRYPTED];

const ACK_TEXTS = [
  '',
  'unknown error',
  'incorrect expected offset',
  'message exceeds max replication size',
  'encryption failed on partition',
];

const NO_SUCH_STREAM: Refusal = {
  name: 'NOT_FOUND',
  error: NoSuchStreamError,
  advice: 'Create the stream first, or check the name.',
};

const NO_NATS: Refusal = {
  name: 'INTERNAL',
  advice: 'The broker has no connection to NATS at the moment, and nothing was stored: try again in a moment.',
  retryable: true,
};
const RESUME_FAILED: Refusal = {
  name: 'INTERNAL',
  advice: 'The cluster cannot resume the partition at the moment, and nothing was stored: try again in a moment.',
  retryable: true,
};

/** The error for a message that a PublishAsync call refused: `code` and `message` of its PublishAsyncError. */
export function errorFromAsyncError(
  error: { readonly code: number; readonly message: string },
  context: ErrorContext = {},
): LiftbridgeError {
  return build(refusalOf(error), error.message, { operation: 'PublishAsync', ...context });
}

function refusalOf(error: { readonly code: number; readonly message: string }): Refusal {
  const { code } = error;
  const message = error.message.slice(0, LONGEST_SEARCHED);
  // BAD_REQUEST and INTERNAL also cover these: only the text tells.
  if (TOO_LARGE.test(message)) return MESSAGE_TOO_LARGE;
  if (WITHOUT_NATS.test(message)) return NO_NATS;
  if (NO_RESUME.test(message)) return RESUME_FAILED;
  const refusal = ASYNC_ERRORS[code] ?? UNKNOWN;
  return refusal.name === 'NOT_FOUND' && message.startsWith('no such stream') ? NO_SUCH_STREAM : refusal;
}

/** The error for the `ackError` number of an ack whose message was not stored; null for an ack without error. */
export function errorFromAckError(ackError: number, context: ErrorDetails = {}): LiftbridgeError | null {
  if (ackError === 0) return null;
  const text = ACK_TEXTS[ackError] ?? `unknown error ${ackError}`;
  return build(ACK_ERRORS[ackError] ?? UNKNOWN, text, { operation: 'Publish', ...context });
}

function build(refusal: Refusal, text: string, context: ErrorDetails): LiftbridgeError {
  const message = `${attempt('Publish', context)} failed: ${excerpt(text) || 'no details'} (${refusal.name}). ${refusal.advice}`;
  if (refusal.error !== undefined) return new refusal.error(message, context);
  return new ServerError(message, { ...context, status: refusal.name, text, retryable: refusal.retryable });
}
