import { type Cluster, hasEnded, type Waiting } from '../cluster/cluster-api.js';
import { noSuchPartition, streamDeleted } from './subscribe-errors.js';

/** Which stream a reader reads: another one of the same name may take its place, and a recovering broker may not know it. */
export class StreamIdentity {
  readonly #cluster: Cluster;
  readonly #stream: string;
  readonly #partition: number;
  /** Creation time: detects a stream that was deleted and recreated. */
  #createdAt: number | null = null;
  #isSettled = false;

  constructor(cluster: Cluster, stream: string, partition: number) {
    this.#cluster = cluster;
    this.#stream = stream;
    this.#partition = partition;
  }

  /** The stream as the cache knows it is the one to read, for as long as nothing was read of it. */
  adopt(): void {
    if (!this.#isSettled) this.#createdAt = this.#cluster.createdAt(this.#stream);
  }

  /** From now on only this very stream is the one to read. */
  settle(): void {
    this.#isSettled = true;
  }

  /** True once the stream is another one of the same name. */
  get isReplaced(): boolean {
    const createdAt = this.#cluster.createdAt(this.#stream);
    return this.#isSettled && this.#createdAt !== null && createdAt !== null && createdAt !== this.#createdAt;
  }

  /** Throws when the stream, or the partition, that a broker called unknown certainly does not exist; `missing` is its error. */
  async check(missing: Error, waiting: Waiting): Promise<void> {
    const [stream, partition] = [this.#stream, this.#partition];
    const existence = await this.#cluster.existence({ stream, createdAt: this.#createdAt }, waiting);
    if (existence === 'gone') throw missing;
    if (existence === 'replaced' && this.#isSettled) throw streamDeleted({ stream, partition });
    const count = this.#cluster.partitionCount(stream);
    if (existence === 'present' && count > 0 && count <= partition) throw noSuchPartition(stream, partition, count);
  }

  /**
   * Whether a broker that ended a call because the stream is deleted speaks of this stream. A broker that recovers goes
   * through the past: what it deletes may be an earlier one of that name.
   */
  async isDeleted(deletedBy: string | undefined, waiting: Waiting): Promise<boolean> {
    const sought = { stream: this.#stream, createdAt: this.#createdAt, deletedBy };
    const existence = await this.#cluster.existence(sought, waiting);
    return hasEnded(existence);
  }
}
