import { crc32 } from 'node:zlib';
import murmurhash from 'murmurhash-js';

/** The message that a partitioner gets. `key` and `value` are null when absent. @inline */
export interface PartitionerMessage {
  readonly stream: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/**
 * Chooses the partition of a message, from 0 up to but not including `partitions`; any other result fails the publish
 * with INVALID_ARGUMENT. go-liftbridge: `Partitioner`.
 */
export type Partitioner = (message: PartitionerMessage, partitions: number) => number;

const NO_KEY = new Uint8Array(0);

/**
 * CRC-32 (IEEE) of the key, modulo the number of partitions: equal keys go to the same partition as with every other
 * Liftbridge client. A message without a key goes to the partition of an empty key. go-liftbridge: `PartitionByKey`.
 */
export const partitionByKey: Partitioner = ({ key }, partitions) =>
  partitions > 0 ? crc32(key ?? NO_KEY) % partitions : 0;

/** MurmurHash3 (32 bits, seed 0) of the key, modulo the number of partitions. No other Liftbridge client does this. */
export const partitionByMurmur: Partitioner = ({ key }, partitions) => {
  if (partitions <= 0) return 0;
  // The library reads one byte for each character.
  const text = Buffer.from(key ?? NO_KEY).toString('latin1');
  return murmurhash.murmur3(text, 0) % partitions;
};

/**
 * A partitioner that chooses the partitions in turn, with a counter of its own for each stream, from partition 0.
 * go-liftbridge: `PartitionByRoundRobin`, whose counters are shared by the whole process.
 */
export function partitionByRoundRobin(): Partitioner {
  const counters = new Map<string, number>();
  return ({ stream }, partitions) => {
    if (partitions <= 0) return 0;
    const count = counters.get(stream) ?? 0;
    counters.set(stream, count === Number.MAX_SAFE_INTEGER ? 0 : count + 1);
    return count % partitions;
  };
}

/** A partitioner that always returns `partition`. go-liftbridge: `ToPartition`. */
export function toPartition(partition: number): Partitioner {
  return () => partition;
}
