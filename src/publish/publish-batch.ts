import { InvalidArgumentError, LiftbridgeError } from '../errors.js';
import { checkValue, type Rule, streamName } from '../options.js';
import type { Ack } from '../protocol/received-ack.js';
import {
  type OutgoingMessage,
  outgoing,
  type PublishOptions,
  readPublishOptions,
  type Value,
} from './publish-options.js';
import type { Publisher } from './publisher.js';

/** The outcome of one message of `publishBatch`, or of `publishAll` with `onError: 'continue'`. */
export type PublishResult = {
  /** The place of the message among those that were given, from 0. */
  readonly index: number;
} & (Stored | Failed);

/** A message that is stored. @inline */
interface Stored {
  /** The ack of the stream. */
  readonly ack: Ack;
  /** Null. */
  readonly error: null;
}

/** A message that failed. @inline */
interface Failed {
  /** Null. */
  readonly ack: null;
  /** Why it failed; whether it is stored may not be known. */
  readonly error: LiftbridgeError;
}

const MESSAGES: Rule = { expected: 'an array of messages', accepts: Array.isArray };

/** Publishes messages in their order. Rejects for a bad argument, before anything is sent, and with the reason of the signal. */
export async function publishBatch(
  publisher: Publisher,
  stream: string,
  messages: readonly (Value | OutgoingMessage)[],
  given: PublishOptions,
): Promise<PublishResult[]> {
  const options = readPublishOptions('publishBatch', given);
  checkValue('publishBatch', 'stream', stream, streamName);
  checkValue('publishBatch', 'messages', messages, MESSAGES);
  const entries = Array.from(messages, (message) => outgoing(message, options, 'publishBatch'));
  for (const entry of entries) refuseNoAcks('publishBatch', entry.options);
  const { signal } = options;
  signal?.throwIfAborted();
  return await Promise.all(
    entries.map(({ value, options: own }, index) => resultOf(index, publisher.publish(stream, value, own), signal)),
  );
}

/** Refuses ackPolicy 'none': there would be nothing to report. */
export function refuseNoAcks(where: string, { ackPolicy }: PublishOptions): void {
  if (ackPolicy !== 'none') return;
  throw new InvalidArgumentError(
    `${where}: expected ackPolicy to be 'leader' or 'all', got "none" (string); without acks there is no result to report`,
    { operation: where },
  );
}

/** What a publish ends in. Rejects with the reason of the signal alone. */
export async function resultOf(
  index: number,
  publish: Promise<Ack | null>,
  signal: AbortSignal | undefined,
): Promise<PublishResult> {
  try {
    return { index, ack: (await publish) as Ack, error: null };
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error;
    return { index, ack: null, error: LiftbridgeError.from(error, { operation: 'publish' }) };
  }
}
