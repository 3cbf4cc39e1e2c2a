import type { Cluster } from '../cluster/cluster-api.js';

/** Refreshes the metadata of streams to which publishes failed: once for all that fail at the same time. */
export class MetadataRefresh {
  readonly #cluster: Cluster;
  readonly #running = new Set<string>();
  #stopped = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Starts a refresh of the metadata of a stream unless one is running. */
  start(stream: string): void {
    if (this.#stopped || this.#running.has(stream)) return;
    this.#running.add(stream);
    this.#cluster
      .refresh([stream])
      .catch((error: unknown) => {
        this.#cluster.logger.debug({ err: error, stream }, 'metadata refresh after a failed publish failed');
      })
      .finally(() => this.#running.delete(stream));
  }

  /** Starts no further refresh. */
  stop(): void {
    this.#stopped = true;
  }
}
