import { InvalidArgumentError, PermissionDeniedError, ServerError } from './call-errors.js';
import { EncryptionError, IncorrectOffsetError, MessageTooLargeError } from './message-errors.js';
import { excerpt } from './quote.js';
import type { ErrorContext, ErrorDetails, LiftbridgeError } from './root.js';
import { attempt } from './status.js';
import { WITHOUT_NATS } from './status-rules.js';
import { NoSuchPartitionError, NoSuchStreamError, ReadonlyPartitionError } from './stream-errors.js';

type PlainError = new (message: string, details: ErrorDetails) => LiftbridgeError;

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
const TOO_LARGE: Refusal = {
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
const ACK_ERRORS: readonly Refusal[] = [UNKNOWN, UNKNOWN, WRONG_OFFSET, TOO_LARGE, NOT_ENCRYPTED];

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
const NO_RESUME: Refusal = {
  name: 'INTERNAL',
  advice: 'The cluster cannot resume the partition at the moment, and nothing was stored: try again in a moment.',
  retryable: true,
};

/** BAD_REQUEST and INTERNAL also cover messages that are too large; only the text tells. */
const TOO_LARGE_TEXT = /exceeds max replication size|maximum payload exceeded/;
/** Characters that are looked at to tell what a text means. */
const LONGEST_KNOWN = 2_000;
/** A publish to a paused partition resumes it first, which needs a metadata leader. */
const NO_RESUME_TEXT =
  /failed to resume stream: .*(?:no known metadata leader|no responders|outbound buffer limit|not the leader|leadership lost|timed? ?out|deadline)/;

/** The error for a message that a PublishAsync call refused: `code` and `message` of its PublishAsyncError. */
export function errorFromAsyncError(
  error: { readonly code: number; readonly message: string },
  context: ErrorContext = {},
): LiftbridgeError {
  return build(refusalOf(error), error.message, { operation: 'PublishAsync', ...context });
}

function refusalOf(error: { readonly code: number; readonly message: string }): Refusal {
  const { code } = error;
  // What a broker says is short; looking for patterns in megabytes would take minutes.
  const message = error.message.slice(0, LONGEST_KNOWN);
  if (TOO_LARGE_TEXT.test(message)) return TOO_LARGE;
  if (WITHOUT_NATS.test(message)) return NO_NATS;
  if (NO_RESUME_TEXT.test(message)) return NO_RESUME;
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
