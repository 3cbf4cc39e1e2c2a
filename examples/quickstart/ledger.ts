import { createHash, type Hash } from 'node:crypto';

/** Counts and hashes what went into a partition, or came out of it, in order. */
export class Ledger {
  readonly #hashes: Hash[];
  readonly counts: number[];

  constructor(partitions: number) {
    this.#hashes = Array.from({ length: partitions }, () => createHash('sha256'));
    this.counts = new Array<number>(partitions).fill(0);
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** Takes the next message of a partition; answers the offset that it must have. */
  add(partition: number, key: string | null, value: Buffer): number {
    this.#hashes[partition]!.update(`${key ?? ''}\u0000`)
      .update(value)
      .update('\n');
    return this.counts[partition]!++;
  }

  /** A short form of each partition's checksum. */
  digests(): string[] {
    return this.#hashes.map((hash) => hash.copy().digest('hex').slice(0, 16));
  }
}
