import type { Cluster, Waiting } from '../cluster/contract.js';
import type { Publisher } from '../publish/publisher.js';
import type { ReaderOptions } from '../subscribe/partition-reader.js';
import type { Consumer } from './consumer.js';

/** What a consumer needs of the client. */
export interface ConsumerContext extends ReaderOptions {
  readonly cluster: Cluster;
  /** Publishes dead letters. */
  readonly publisher: Pick<Publisher, 'publish'>;
  /** Stores a cursor. */
  readonly setCursor: (
    cursorId: string,
    stream: string,
    partition: number,
    offset: bigint,
    waiting: Waiting,
  ) => Promise<void>;
  /** Told when the consumer has joined, so that the client can close it. */
  readonly started: (consumer: Consumer) => void;
  /** Told when it has ended, so that the client can forget it. */
  readonly ended: (consumer: Consumer) => void;
}
