import { describe, expect, it } from 'vitest';
import { lagOf } from '../../../../src/consumer/partitions/lag.js';
import { TimeoutError } from '../../../../src/errors.js';

const held = (stream: string, partition: number, position: bigint | null) => ({ stream, partition, position }) as never;

describe('lagOf', () => {
  it('asks the leader of each partition, and sorts by stream and partition', async () => {
    const asked: unknown[][] = [];
    const marks: Record<string, bigint> = { 'orders/2': 9n, 'orders/11': 4n, 'bills/0': 7n };
    const cluster = {
      callLeader: async (...call: unknown[]) => {
        asked.push(call);
        return { metadata: { highWatermark: marks[`${call[1]}/${call[2]}`]! } };
      },
    };
    const partitions = [held('orders', 11, 5n), held('orders', 2, 3n), held('bills', 0, 9n), held('bills', 1, null)];
    const lags = await lagOf(cluster as never, partitions, { timeout: 7 });
    expect(lags).toEqual([
      { stream: 'bills', partition: 0, position: 9n, highWatermark: 7n, lag: 0n },
      { stream: 'orders', partition: 2, position: 3n, highWatermark: 9n, lag: 7n },
      { stream: 'orders', partition: 11, position: 5n, highWatermark: 4n, lag: 0n },
    ]);
    const request = { stream: 'orders', partition: 11 };
    expect(asked[0]).toEqual(['fetchPartitionMetadata', 'orders', 11, request, { timeout: 7 }]);
  });

  it('counts no message where the broker returns no metadata, and rejects with its failure', async () => {
    const none = { callLeader: async () => ({}) };
    expect(await lagOf(none as never, [held('orders', 0, 0n)], {})).toMatchObject([{ highWatermark: -1n, lag: 0n }]);
    const late = new TimeoutError('late');
    const failing = { callLeader: () => Promise.reject(late) };
    await expect(lagOf(failing as never, [held('orders', 0, 0n)], {})).rejects.toBe(late);
  });
});
