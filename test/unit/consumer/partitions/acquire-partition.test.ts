import { beforeEach, describe, expect, it, vi } from 'vitest';
import { cursorPartition } from '../../../../src/cluster/cursor-partition.js';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import { awaitHandover, type HandoverContext } from '../../../../src/consumer/partitions/acquire-partition.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import type { Mark } from '../../../../src/consumer/partitions/ownership.js';
import { type Writability, WriteProbe } from '../../../../src/consumer/partitions/write-probe.js';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now }));
// The clock moves with each look: pauses between them take no time.
vi.mock('../../../../src/async/sleep.js', async (original) => ({
  ...(await original<typeof import('../../../../src/async/sleep.js')>()),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
}));
beforeEach(() => {
  clock.now = 0;
});

const SILENCE = 1_500;
const PATIENCE = 10_000;
/** Longer than the patience. */
const AWAY = 40_000;
const held = { stream: 'orders', partition: 1, signal: new AbortController().signal } as unknown as HeldPartition;
const other: Mark = { generation: 3n, owner: 7n, state: 'held' };

function fail(text: string): never {
  throw new Error(text);
}

/** Waits for an owner whose mark `read` gives; every look takes 250 ms. */
function waiting(read: () => Mark | null, hand: Partial<HandoverContext> = {}, before: Mark | null = null) {
  const looks: number[] = [];
  const ownership: HandoverContext['ownership'] = {
    read: async () => {
      clock.now += 250;
      looks.push(clock.now);
      return read();
    },
    isTaken: (mark) => mark !== null && mark.state !== 'released',
  };
  const deps = {
    ownership,
    waitUntilReadable: async () => undefined,
    silence: SILENCE,
    patience: PATIENCE,
    canWrite: async () => 'yes' as const,
    ownWorkDone: () => undefined,
  };
  return { looks, mark: awaitHandover(held, before, { ...deps, ...hand }) };
}

describe('waiting for the owner of a partition', () => {
  it('ends when the owner says that it has released it', async () => {
    const released = { ...other, state: 'released' as const };
    const { looks, mark } = waiting(() => (clock.now < 600 ? other : released));
    expect(await mark).toEqual(released);
    expect(looks).toHaveLength(3);
  });

  it('ends when the owner is silent although it could write', async () => {
    const { looks, mark } = waiting(() => other);
    expect(await mark).toEqual(other);
    expect(looks.at(-1)).toBe(1_750);
  });

  it.each([
    ['no mark', null],
    ['an older mark', { ...other, generation: 2n, state: 'released' as const }],
  ])('does not believe a recovering broker that shows %s', async (_what, stale) => {
    const released = { ...other, state: 'released' as const };
    const readable = vi.fn(async () => undefined);
    const read = () => (clock.now < 500 ? other : clock.now < 4_000 ? stale : released);
    const { mark } = waiting(read, { waitUntilReadable: readable }, other);
    expect(await mark).toEqual(released);
    expect(readable).toHaveBeenCalled();
  });

  it('does not count the time in which the owner could not write, up to the patience', async () => {
    let prompt = 0;
    const { mark } = waiting(() => other, {
      canWrite: async () => (clock.now > 4_000 && ++prompt > 0 ? 'yes' : 'settling'),
    });
    expect(await mark).toEqual(other);
    expect(clock.now).toBeGreaterThan(3_000 + SILENCE);
    const never = waiting(() => other, { canWrite: async () => 'settling' });
    const began = clock.now;
    await never.mark;
    expect(clock.now - began).toBeGreaterThanOrEqual(PATIENCE);
    expect(clock.now - began).toBeLessThan(PATIENCE + SILENCE);
  });

  it.each([
    ['write', () => other, async () => (clock.now < AWAY ? 'no' : 'yes') as Writability],
    ['read', () => (clock.now < AWAY ? fail('no broker') : other), async () => 'yes' as const],
  ])(
    'does not count the time in which nobody can %s cursors, since the owner cannot store its position',
    async (_what, read, canWrite) => {
      const { mark } = waiting(read, { canWrite });
      expect(await mark).toEqual(other);
      expect(clock.now).toBeGreaterThan(AWAY);
      expect(clock.now).toBeLessThan(AWAY + PATIENCE);
    },
  );

  it('ends although cursors cannot be written for a very long time', async () => {
    const { mark } = waiting(() => other, { canWrite: async () => 'no' });
    expect(await mark).toEqual(other);
    expect(clock.now).toBeGreaterThan(AWAY);
    expect(clock.now).toBeLessThan(60_000 + PATIENCE + SILENCE);
  });
});

describe('a probe of writing', () => {
  const PARTITIONS = 3;
  const ids = ['__owner:group', '__group:group'];
  const homeOf = (id: string) => cursorPartition(id, held.stream, held.partition, PARTITIONS);

  function probing(setCursor: ConsumerContext['setCursor']) {
    let lost = (): void => undefined;
    const unlistened = vi.fn();
    const on = (name: string, listener: () => void) => {
      expect(name).toBe('disconnect');
      lost = listener;
      return unlistened;
    };
    const context = { cluster: { partitionCount: () => PARTITIONS, on }, setCursor } as unknown as ConsumerContext;
    return { probe: new WriteProbe(context, ids), lost: () => lost(), unlistened };
  }

  it('writes to the partitions of the cursors stream that keep the cursors, and to none of these cursors', async () => {
    const written: number[] = [];
    const { probe, unlistened } = probing(async (id, stream, partition) => {
      expect(ids).not.toContain(id);
      written.push(cursorPartition(id, stream, partition, PARTITIONS));
    });
    expect(await probe.canWrite(held, 100)).toBe('yes');
    expect(new Set(written)).toEqual(new Set(ids.map(homeOf)));
    probe.stop();
    expect(unlistened).toHaveBeenCalledTimes(1);
  });

  it('says no when one of them fails', async () => {
    const { probe } = probing(async () => {
      throw new Error('late');
    });
    expect(await probe.canWrite(held, 100)).toBe('no');
  });

  it('writes once for all partitions that wait at the same time', async () => {
    let written = 0;
    const { probe } = probing(async () => void written++);
    expect(await Promise.all([probe.canWrite(held, 100), probe.canWrite(held, 100)])).toEqual(['yes', 'yes']);
    expect(written).toBe(new Set(ids.map(homeOf)).size);
    await probe.canWrite(held, 100);
    expect(written).toBe(2 * new Set(ids.map(homeOf)).size);
  });

  it('does not say yes for a while after a broker was lost', async () => {
    const { probe, lost } = probing(async () => undefined);
    lost();
    expect(await probe.canWrite(held, 100)).toBe('settling');
    clock.now += 15_000;
    expect(await probe.canWrite(held, 100)).toBe('yes');
  });
});
