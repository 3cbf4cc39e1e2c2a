import type { Waiting } from '../cluster/contract.js';
import type { ReceivedMessage } from '../protocol/received-message.js';

/** What a reader tells its subscription. */
export interface ReaderEvents {
  messages(messages: ReceivedMessage[], bytes: number): void;
  /** Everything in the range was handed out. */
  done(): void;
  failed(error: unknown): void;
  /** The broker gave the partition to another member of the consumer group. */
  revoked(): void;
}

/** What a reader takes from the client; milliseconds. */
export interface ReaderOptions {
  readonly requestTimeout: number;
  readonly resubscribeTimeout: number;
  /** Reads a stored cursor; -1n when there is none. */
  readonly fetchCursor: (cursorId: string, stream: string, partition: number, waiting: Waiting) => Promise<bigint>;
}
