import { describe, expect, it } from 'vitest';
import { cursorPartition } from '../../../../src/admin/cursor-stream.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { waitForCursors } from '../../../../src/consumer/partitions/wait-for-cursors.js';
import { FakeCluster } from '../fake-cluster.js';

const PARTITIONS = 7;

describe('waitForCursors', () => {
  it('looks once at each partition of the cursors stream that keeps one of the cursors', async () => {
    const held = { stream: 'orders', partition: 0, signal: new AbortController().signal } as HeldPartition;
    const cluster = Object.assign(new FakeCluster(() => ({ metadata: { newestOffset: 4n, highWatermark: 4n } })), {
      partitionCount: () => PARTITIONS,
    });
    const ids = ['__group:g', '__owner:g', '__group:g'];
    const homes = new Set(ids.map((id) => cursorPartition(id, 'orders', 0, PARTITIONS)));
    await waitForCursors(cluster.asCluster, ids, held);
    expect(cluster.calls.map(({ request }) => request.partition)).toEqual([...homes]);
  });
});
