import { beforeEach, describe, expect, it } from 'vitest';
import { lookUpPartition, lookUpStream } from '../../../src/subscribe/stream-lookup.js';
import { FakeCluster } from './fakes.js';

let cluster: FakeCluster;
beforeEach(() => {
  cluster = new FakeCluster();
});

const codeOf = (work: Promise<void>) =>
  work.then(
    () => null,
    (error: { code: string }) => error.code,
  );
const stream = (timeout = 1_000) => codeOf(lookUpStream(cluster as never, 'orders', { timeout }));
const partition = (id: number) => codeOf(lookUpPartition(cluster as never, 'orders', id, { timeout: 1_000 }));

describe('lookUpStream', () => {
  it('refreshes the metadata once when the cluster knows the stream then', async () => {
    cluster.partitions = 0;
    cluster.onRefresh = () => {
      cluster.partitions = 1;
    };
    expect(await stream()).toBeNull();
    expect([cluster.refreshes, cluster.refreshed, cluster.sought]).toEqual([1, ['orders'], []]);
    expect(cluster.refreshBounds.timeout).toBeGreaterThan(900);
  });

  it('rejects once it is certain that there is no stream, and with TIMEOUT when that is not certain in time', async () => {
    cluster.partitions = 0;
    cluster.existing = 'gone';
    expect(await stream()).toBe('NO_SUCH_STREAM');
    cluster.existing = 'unsure';
    expect(await stream(1)).toBe('TIMEOUT');
  });

  it('refreshes again when another answer has replaced what was found', async () => {
    cluster.partitions = 0;
    cluster.onRefresh = () => {
      if (cluster.refreshes === 2) cluster.partitions = 1;
    };
    expect(await stream()).toBeNull();
    expect([cluster.refreshes, cluster.sought.length]).toEqual([2, 1]);
  });

  it('does not refresh again when the decision has found the stream', async () => {
    cluster.partitions = 0;
    cluster.existence = async () => {
      cluster.partitions = 1;
      return 'present';
    };
    expect(await stream()).toBeNull();
    expect(cluster.refreshes).toBe(1);
  });
});

describe('lookUpPartition', () => {
  it('asks for nothing when the cache knows the partition', async () => {
    cluster.partitions = 3;
    expect(await partition(2)).toBeNull();
    expect(cluster.refreshes).toBe(0);
  });

  it('refreshes, and rejects when the stream has fewer partitions', async () => {
    cluster.partitions = 2;
    expect(await partition(2)).toBe('NO_SUCH_PARTITION');
    expect(cluster.refreshes).toBe(1);
    cluster.onRefresh = () => {
      cluster.partitions = 3;
    };
    expect(await partition(2)).toBeNull();
  });
});
