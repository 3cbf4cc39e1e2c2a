import type { Waiting } from '../async/deadline.js';
import type { ReceivedMessage } from '../protocol/received-message.js';

/** Receives the messages of a reader, and its end. */
export interface ReaderEvents {
  messages(messages: ReceivedMessage[], bytes: number): void;
  /** The whole range was delivered, or the broker gave the partition to another member of the consumer group. */
  done(why: 'complete' | 'revoked'): void;
  failed(error: unknown): void;
}

/** Settings of the client that a reader needs; milliseconds. */
export interface ReaderOptions {
  readonly requestTimeout: number;
  readonly resubscribeTimeout: number;
  /** Reads a stored cursor; -1n when there is none. */
  readonly fetchCursor: (cursorId: string, stream: string, partition: number, waiting: Waiting) => Promise<bigint>;
}
