import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { choosePartition } from '../../../src/publish/choose-partition.js';
import {
  type Partitioner,
  partitionByKey,
  partitionByMurmur,
  partitionByRoundRobin,
  toPartition,
} from '../../../src/publish/partitioners.js';

interface KeyVector {
  readonly keyHex: string;
  readonly partition: Readonly<Record<string, number>>;
}

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const sample = JSON.parse(readFileSync(path('../../fixtures/partitions.json'), 'utf8')) as KeyVector[];
const all = path('../../../../shared/vectors/partitions.json');

function message(key: string | Uint8Array | null, stream = 'orders') {
  return { stream, key: typeof key === 'string' ? Buffer.from(key) : key, value: null };
}

function wrong(vectors: readonly KeyVector[]): string[] {
  return vectors.flatMap(({ keyHex, partition }) =>
    Object.entries(partition)
      .filter(([count, expected]) => partitionByKey(message(Buffer.from(keyHex, 'hex')), Number(count)) !== expected)
      .map(([count]) => `${keyHex} of ${count}`),
  );
}

describe('partitionByKey', () => {
  it('chooses the same partition as the other clients, for a sample of keys', () => {
    expect(sample.length).toBeGreaterThan(10);
    expect(wrong(sample)).toEqual([]);
  });

  it.skipIf(!existsSync(all))('chooses the same partition as the other clients, for every recorded key', () => {
    const { keys } = JSON.parse(readFileSync(all, 'utf8')) as { keys: KeyVector[] };
    expect(keys.length).toBeGreaterThan(100);
    expect(wrong(keys)).toEqual([]);
  });

  it('treats a missing key as an empty one', () => {
    expect(partitionByKey(message(null), 7)).toBe(partitionByKey(message(''), 7));
  });
});

describe('partitionByMurmur', () => {
  it('returns MurmurHash3 with seed 0, modulo the number of partitions', () => {
    // Published test vectors of the 32-bit hash.
    expect(partitionByMurmur(message(''), 1_000)).toBe(0);
    expect(partitionByMurmur(message('test'), 2 ** 32)).toBe(0xba6bd213);
    expect(partitionByMurmur(message('Hello, world!'), 2 ** 32)).toBe(0xc0363e43);
  });

  it('hashes bytes that are no text', () => {
    const high = partitionByMurmur(message(Buffer.from([0xff, 0xfe])), 2 ** 32);
    expect(high).not.toBe(partitionByMurmur(message(Buffer.from([0xff, 0xfd])), 2 ** 32));
  });
});

describe('partitionByRoundRobin', () => {
  it('chooses partitions in turn, with a counter for each stream', () => {
    const partitioner = partitionByRoundRobin();
    const orders = Array.from({ length: 5 }, () => partitioner(message(null), 3));
    expect(orders).toEqual([0, 1, 2, 0, 1]);
    expect(partitioner(message(null, 'other'), 3)).toBe(0);
    expect(partitioner(message(null), 3)).toBe(2);
  });

  it('shares no counter with another partitioner', () => {
    partitionByRoundRobin()(message(null), 3);
    expect(partitionByRoundRobin()(message(null), 3)).toBe(0);
  });
});

describe('toPartition', () => {
  it('returns its partition for every message', () => {
    expect(toPartition(5)(message('a'), 10)).toBe(5);
  });
});

describe('choosePartition', () => {
  const choose = (partitioner: Partitioner | null) => choosePartition({ ...message('k'), partitioner }, 4);

  it('chooses partition 0 without a partitioner', () => {
    expect(choose(null)).toBe(0);
  });

  it.each([-1, 4, 1.5, Number.NaN])('refuses the partition %s of a partitioner', (answer) => {
    expect(() => choose(() => answer)).toThrow(/from 0 to 3.*Nothing was sent/);
  });

  it('names the stream and keeps the cause when a partitioner throws', () => {
    const cause = new Error('no idea');
    const failing = () => {
      throw cause;
    };
    expect(() => choose(failing)).toThrow(expect.objectContaining({ code: 'HANDLER_FAILED', stream: 'orders', cause }));
  });
});
