import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import { noLeader } from './subscribe-errors.js';

/** Chooses the broker to read a partition from: its leader, or any in-sync replica where the reader allows that. */
export class BrokerChoice {
  readonly #cluster: Cluster;
  readonly #stream: string;
  readonly #partition: number;
  #allowsReplicas: boolean;

  constructor(cluster: Cluster, stream: string, partition: number, allowsReplicas: boolean) {
    this.#cluster = cluster;
    this.#stream = stream;
    this.#partition = partition;
    this.#allowsReplicas = allowsReplicas;
  }

  /** Brokers that serve the partition according to the cached metadata. */
  get candidates(): readonly BrokerTarget[] {
    if (this.#allowsReplicas) {
      const replicas = this.#cluster.isr(this.#stream, this.#partition);
      if (replicas.length > 0) return replicas;
    }
    const leader = this.#cluster.leader(this.#stream, this.#partition);
    return leader === null ? [] : [leader];
  }

  /** One of the candidates. Throws CONNECTION when there is none. */
  choose(): BrokerTarget {
    const { candidates } = this;
    // A random one: the readers of a partition spread over its replicas.
    const target = candidates[Math.floor(Math.random() * candidates.length)];
    if (target === undefined) throw noLeader(this.#stream, this.#partition, 'no leader is known');
    return target;
  }

  /** Chooses only the leader from now on. Returns whether replicas were allowed before. */
  requireLeader(): boolean {
    const allowed = this.#allowsReplicas;
    this.#allowsReplicas = false;
    return allowed;
  }
}
