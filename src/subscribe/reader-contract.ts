import type { Cursors } from '../admin/cursors.js';
import type { ReceivedMessage } from '../protocol/received-message.js';

/** Receives the messages of a reader, and its end. */
export interface ReaderEvents {
  messages(messages: ReceivedMessage[], bytes: number): void;
  /** The whole range was delivered, or the broker gave the partition to another member of the consumer group. */
  done(why: 'complete' | 'revoked'): void;
  failed(error: unknown): void;
}

/** Settings of a reader, in milliseconds, and its cursors. */
export interface ReaderOptions {
  readonly requestTimeout: number;
  readonly resubscribeTimeout: number;
  readonly cursors: Pick<Cursors, 'fetch'>;
}
