import type { Cursors } from '../admin/cursors.js';
import type { Cluster } from '../cluster/cluster-api.js';
import type { Publisher } from '../publish/publisher.js';
import type { ReaderOptions } from '../subscribe/reader-contract.js';
import type { ConsumerCloseOptions } from './consumer-options.js';

/** A consumer, as the client closes it. */
export interface Closable {
  close(options?: ConsumerCloseOptions): Promise<void>;
}

/** Dependencies of a consumer. */
export interface ConsumerContext extends ReaderOptions {
  readonly cluster: Cluster;
  /** Publishes dead letters. */
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly cursors: Pick<Cursors, 'fetch' | 'set'>;
  /** Told when the consumer has joined, so that the client can close it. */
  readonly started: (consumer: Closable) => void;
  /** Told when it has ended, so that the client can forget it. */
  readonly ended: (consumer: Closable) => void;
}
