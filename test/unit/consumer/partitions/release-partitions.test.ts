import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { type ReleaseContext, releasePartitions } from '../../../../src/consumer/partitions/release-partitions.js';
import { ConnectionError, PermissionDeniedError } from '../../../../src/errors.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now }));
vi.mock('../../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../../src/async/sleep.js')>()),
  sleep: async (ms: number) => {
    clock.now += ms;
  },
}));
beforeEach(() => {
  clock.now = 0;
});

const away = () =>
  new ConnectionError('the broker is away', { operation: 'SetCursor', reason: 'lost', outcome: 'unknown' });

/** Gives a partition up that was processed up to offset 6; every call takes 10 ms, `store` decides about those that store. */
async function given(store: (attempt: number) => void, { storeTimeout = 60_000, isOvertaken = false } = {}) {
  const held = {
    stream: 'orders',
    partition: 1,
    generation: 3n,
    position: 7n,
    announced: false,
    stop: () => undefined,
    expire: () => undefined,
    idle: async () => undefined,
  } as unknown as HeldPartition;
  let attempts = 0;
  const timeouts: (number | undefined)[] = [];
  const said: string[] = [];
  const report = vi.fn();
  const deps = {
    checkpoints: {
      store: async (_held: HeldPartition, timeout?: number) => {
        clock.now += 10;
        timeouts.push(timeout);
        store(++attempts);
      },
    },
    ownership: {
      self: 9n,
      read: async () => ({ generation: 3n, owner: 9n, state: 'held' }),
      isOvertaken: (_mark: unknown, generation: bigint) => isOvertaken && generation === 3n,
      write: async (_stream: string, _partition: number, { state }: { state: string }) => void said.push(state),
    },
    onRevoked: undefined,
    patience: 1_000,
    storeTimeout,
    report,
  } as unknown as ReleaseContext;
  await releasePartitions('orders', [held], deps);
  return { attempts, timeouts, said, report };
}

describe('giving a partition up', () => {
  it('stores its position again while the broker is away, and says then that it has', async () => {
    const { attempts, said, report } = await given((attempt) => {
      if (attempt < 20) throw away();
    });
    expect(attempts).toBe(20);
    expect(said).toEqual(['released']);
    expect(report).not.toHaveBeenCalled();
  });

  it('gives one call a share of the time: a broker that recovers loses some', async () => {
    const { timeouts } = await given((attempt) => {
      if (attempt < 2) throw away();
    });
    expect(timeouts).toEqual([5_000, 5_000]);
  });

  it('reports the failure when the time is up', async () => {
    const { said, report } = await given(
      () => {
        throw away();
      },
      { storeTimeout: 3_000 },
    );
    expect(said).toEqual([]);
    expect(report).toHaveBeenCalledTimes(1);
    expect(clock.now).toBeLessThanOrEqual(3_000);
    expect(clock.now).toBeGreaterThan(2_400);
  });

  it('stores and says nothing when another member has taken the partition over', async () => {
    const { attempts, said, report } = await given(() => undefined, { isOvertaken: true });
    expect([attempts, said]).toEqual([0, []]);
    expect(report).not.toHaveBeenCalled();
  });

  it('reports at once what will not pass', async () => {
    const { attempts, report } = await given(() => {
      throw new PermissionDeniedError('denied');
    });
    expect(attempts).toBe(1);
    expect(report).toHaveBeenCalledTimes(1);
  });
});
