import { describe, expect, it, vi } from 'vitest';
import { caughtUp } from '../../../src/consumer/cursor-log.js';
import type { HeldPartition } from '../../../src/consumer/held-partition.js';
import { PartitionPausedError } from '../../../src/errors.js';
import { FakeCluster } from './fake-cluster.js';

// Looks are counted here: the pauses between them take no time.
vi.mock('../../../src/async/timers.js', async (original) => ({
  ...(await original<typeof import('../../../src/async/timers.js')>()),
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
}));

const held = { stream: 'orders', partition: 0, signal: new AbortController().signal } as HeldPartition;

const nothing = async () => undefined;

function cursors(answer: (look: number) => unknown) {
  let looks = 0;
  const cluster = new FakeCluster(() => answer(++looks));
  return Object.assign(cluster, { partitionCount: () => 1 });
}

describe('caughtUp', () => {
  it('waits until what was stored when it was called is committed', async () => {
    const cluster = cursors((look) => ({
      metadata: { newestOffset: 7n + BigInt(look), highWatermark: 4n + BigInt(look) },
    }));
    await caughtUp(cluster.asCluster, ['__group:g', '__owner:g'], held, nothing);
    expect(cluster.calls).toHaveLength(4);
  });

  it('does not wait for a paused partition, nor for ever', async () => {
    const paused = cursors(() => {
      throw new PartitionPausedError('paused');
    });
    await caughtUp(paused.asCluster, ['__group:g'], held, nothing);
    expect(paused.calls).toHaveLength(1);
    const stuck = cursors(() => ({ metadata: { newestOffset: 7n, highWatermark: 4n } }));
    await caughtUp(stuck.asCluster, ['__group:g'], held, nothing);
    expect(stuck.calls).toHaveLength(12);
  });

  it('has a broker without replicas told by a write what is committed', async () => {
    let written = 0;
    const cluster = cursors(() => ({ metadata: { newestOffset: 7n, highWatermark: written > 0 ? 8n : 4n } }));
    await caughtUp(cluster.asCluster, ['__group:g'], held, async () => written++);
    expect(written).toBe(1);
    expect(cluster.calls).toHaveLength(5);
  });
});
