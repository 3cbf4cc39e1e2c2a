import { backoffDelay } from '../../async/backoff.js';
import { pause } from '../../async/sleep.js';
import { LiftbridgeError } from '../../errors.js';
import type { Message } from '../../protocol/received-message.js';
import { partitionByKey } from '../../publish/partitioners.js';
import type { Publisher } from '../../publish/publisher.js';
import { DEAD_LETTER_BACKOFF } from '../timing.js';

const ATTEMPTS = 5;
/** Headers that brokers add themselves. */
const BROKER_HEADERS = ['subject', 'reply'];
/** Longest error text in a header, so that a stack in a message cannot make the message too large. */
const LONGEST_ERROR = 4_096;

/** Why a message is a dead letter. */
export interface Failure {
  readonly groupId: string;
  readonly error: unknown;
  readonly attempts: number;
}

/**
 * The headers of a dead letter: those of the message, and where it is from and why, as `dead-letter-stream`,
 * `-partition`, `-offset`, `-timestamp`, `-key`, `-group`, `-error` and `-attempts`. Numbers are decimal text.
 */
export function deadLetterHeaders(message: Message, failure: Failure): Record<string, string | Uint8Array> {
  const headers: Record<string, string | Uint8Array> = Object.create(null);
  for (const [header, value] of Object.entries(message.headers))
    if (!BROKER_HEADERS.includes(header)) headers[header] = value;
  headers['dead-letter-stream'] = message.stream;
  headers['dead-letter-partition'] = String(message.partition);
  headers['dead-letter-offset'] = String(message.offset);
  headers['dead-letter-timestamp'] = String(message.timestamp);
  headers['dead-letter-key'] = message.key ?? '';
  headers['dead-letter-group'] = failure.groupId;
  headers['dead-letter-error'] = describe(failure.error).slice(0, LONGEST_ERROR);
  headers['dead-letter-attempts'] = String(failure.attempts);
  return headers;
}

/** Publishes a dead letter, with acks of all replicas. Rejects with a LiftbridgeError when it cannot be stored. */
export async function publishDeadLetter(
  publisher: Pick<Publisher, 'publish'>,
  stream: string,
  message: Message,
  failure: Failure,
  signal: AbortSignal,
): Promise<void> {
  const options = {
    key: message.key,
    headers: deadLetterHeaders(message, failure),
    ackPolicy: 'all',
    partitioner: partitionByKey,
  } as const;
  for (let attempt = 1; ; attempt++) {
    try {
      await publisher.publish(stream, message.value, options);
      return;
    } catch (error) {
      if (attempt >= ATTEMPTS || signal.aborted || !LiftbridgeError.is(error) || !error.retryable) throw error;
      await pause(backoffDelay(attempt, DEAD_LETTER_BACKOFF), signal);
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
