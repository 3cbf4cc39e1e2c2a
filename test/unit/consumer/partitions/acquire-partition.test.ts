import { beforeEach, describe, expect, it, vi } from 'vitest';
import { cursorPartition } from '../../../../src/admin/cursor-stream.js';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import {
  type AcquireContext,
  AcquireRestart,
  acquirePartition,
  awaitHandover,
  type HandoverContext,
} from '../../../../src/consumer/partitions/acquire-partition.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import type { Mark } from '../../../../src/consumer/partitions/ownership.js';
import { type Writability, WriteProbe } from '../../../../src/consumer/partitions/write-probe.js';
import { ConnectionError, PartitionPausedError } from '../../../../src/errors.js';

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
    'does not count the time in which no member can %s cursors, since the owner cannot store its position',
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

  function probing(set: ConsumerContext['cursors']['set']) {
    let lost = (): void => undefined;
    const unlistened = vi.fn();
    const on = (name: string, listener: () => void) => {
      expect(name).toBe('disconnect');
      lost = listener;
      return unlistened;
    };
    const context = {
      cluster: { partitionCount: () => PARTITIONS, on },
      cursors: { set },
    } as unknown as ConsumerContext;
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

describe('acquirePartition', () => {
  const away = new ConnectionError('away', { reason: 'lost' });

  /** Acquires a partition whose group has this cursor and mark; the partition's own ends are at offset 9. */
  function acquiring(
    cursor: bigint,
    mark: Mark | null = null,
    more: Partial<AcquireContext> & { newest?: bigint | Error; begins?: bigint | null } = {},
  ) {
    const log: string[] = [];
    const stop = new AbortController();
    const partition = {
      stream: 'orders',
      partition: 1,
      signal: stop.signal,
      epoch: 4n,
      generation: 0n,
      verifyUntil: 0,
      begins: more.begins === undefined ? 10n : more.begins,
      open: async (start: object, resume: boolean) =>
        void log.push(`open ${Object.values(start).join(' ')}${resume ? ' resume' : ''}`),
      activate: (position: bigint) => void log.push(`activate ${position}`),
    };
    let fetched = 0;
    const cursors = [cursor];
    const callLeader = async () => {
      if (more.newest instanceof Error) throw more.newest;
      return { metadata: { newestOffset: more.newest ?? 9n } };
    };
    const context = {
      cluster: { callLeader, logger: { warn: () => undefined } },
      groupId: 'group',
      autoOffset: 'new',
      checkpoints: {
        fetch: async () => cursors[Math.min(fetched++, cursors.length - 1)],
        begin: async (_held: HeldPartition, position: bigint) => void log.push(`begin ${position}`),
      },
      ownership: {
        self: 9n,
        read: async () => {
          clock.now += 250;
          return mark;
        },
        isTaken: (found: Mark | null) => found !== null && found.owner !== 9n && found.state !== 'released',
        write: async (_stream: string, _partition: number, { generation, owner, state }: Mark) =>
          void log.push(`${state} ${generation} by ${owner}`),
      },
      silence: SILENCE,
      patience: PATIENCE,
      waitUntilReadable: async () => void log.push('readable'),
      canWrite: async () => 'yes' as const,
      waitUntilConfirmed: async () => void log.push('confirmed'),
      announce: async () => void log.push('announced'),
      ownWorkDone: () => void log.push('own work done'),
      ...more,
    } as unknown as AcquireContext;
    const settled = acquirePartition(partition as unknown as HeldPartition, context).then(
      () => 'acquired',
      (error: unknown) => error,
    );
    return { log, settled, partition, cursors, stop };
  }

  it('reads behind the cursor, marks the partition as its own, and announces it', async () => {
    const { log, settled, partition } = acquiring(6n);
    expect(await settled).toBe('acquired');
    expect(log).toEqual([
      'readable',
      'open offset 7',
      'held 4 by 9',
      'confirmed',
      'own work done',
      'announced',
      'activate 7',
    ]);
    expect([partition.generation, partition.verifyUntil]).toEqual([4n, 0]);
  });

  it.each<[bigint, bigint]>([
    [3n, 4n],
    [4n, 5n],
    [7n, 8n],
  ])('follows the generation of the last owner, and its own epoch: %d', async (generation, expected) => {
    const { log, settled, partition } = acquiring(6n, { generation, owner: 7n, state: 'released' });
    await settled;
    expect(log).toContain(`held ${expected} by 9`);
    expect([partition.generation, partition.verifyUntil]).toEqual([expected, 0]);
  });

  it('watches for late writes of an owner that did not release it', async () => {
    const { settled, partition } = acquiring(6n, other);
    expect(await settled).toBe('acquired');
    expect(partition.verifyUntil).toBe(clock.now + 60_000);
  });

  it.each<[string, AcquireContext['autoOffset'], bigint, string[]]>([
    ["'new'", 'new', -1n, ['open new resume', 'begin 10', 'activate 10']],
    ["'latest'", 'latest', -1n, ['open latest resume', 'begin 10', 'activate 10']],
    ["'earliest'", 'earliest', -1n, ['open offset 0', 'activate 0']],
    ["'new' and a cursor beyond the end", 'new', 12n, ['open new resume', 'begin 10', 'activate 10']],
    ["'earliest' and a cursor beyond the end", 'earliest', 12n, ['open offset 0', 'begin 0', 'activate 0']],
    ["'new' and a cursor at the end", 'new', 9n, ['open offset 10', 'activate 10']],
    ["'new' and the first offset as its cursor", 'new', 0n, ['open offset 1', 'activate 1']],
  ])('begins where a group has no position, with autoOffset %s', async (_what, autoOffset, cursor, expected) => {
    const { log, settled } = acquiring(cursor, null, { autoOffset });
    expect(await settled).toBe('acquired');
    expect(log.filter((entry) => /^(open|begin|activate)/.test(entry))).toEqual(expected);
  });

  it('begins at the beginning where an earlier owner has processed nothing', async () => {
    const { log, settled } = acquiring(-1n, { generation: 3n, owner: 7n, state: 'released' });
    expect(await settled).toBe('acquired');
    expect(log).toContain('open offset 0');
    expect(log.some((entry) => entry.startsWith('begin'))).toBe(false);
  });

  it("rejects with NO_OFFSET when the group has no position and autoOffset is 'none'", async () => {
    const { log, settled } = acquiring(-1n, null, { autoOffset: 'none' });
    expect(await settled).toMatchObject({
      code: 'NO_OFFSET',
      stream: 'orders',
      partition: 1,
      operation: 'consumer.subscribe',
      message: expect.stringContaining('Group "group"'),
    });
    expect(log).toEqual(['readable']);
  });

  it('counts a paused partition as long enough, and rejects with any other failure to see its end', async () => {
    const paused = acquiring(6n, null, { newest: new PartitionPausedError('paused') });
    expect(await paused.settled).toBe('acquired');
    expect(paused.log).toContain('activate 7');
    expect(await acquiring(6n, null, { newest: away }).settled).toBe(away);
  });

  it('starts again when the newest offset is not known yet', async () => {
    const { log, settled } = acquiring(-1n, null, { begins: null });
    expect(await settled).toBeInstanceOf(AcquireRestart);
    expect(log).not.toContain('held 4 by 9');
  });

  it('continues at the position that the last owner has stored meanwhile', async () => {
    const marks = [other, { ...other, state: 'released' as const }];
    const { log, settled, cursors } = acquiring(6n, null, {
      ownership: {
        self: 9n,
        read: async () => (marks.length > 1 ? marks.shift()! : marks[0]!),
        isTaken: (found: Mark | null) => found?.state !== 'released',
        write: async () => undefined,
      } as unknown as AcquireContext['ownership'],
    });
    cursors.push(8n);
    expect(await settled).toBe('acquired');
    expect(log.filter((entry) => /^(open|readable|activate)/.test(entry))).toEqual([
      'readable',
      'open offset 7',
      'readable',
      'activate 9',
    ]);
  });

  it('starts again when the position was set back meanwhile', async () => {
    const marks = [other, { ...other, state: 'released' as const }];
    const { log, settled, cursors } = acquiring(6n, null, {
      ownership: {
        self: 9n,
        read: async () => (marks.length > 1 ? marks.shift()! : marks[0]!),
        isTaken: (found: Mark | null) => found?.state !== 'released',
        write: async () => undefined,
      } as unknown as AcquireContext['ownership'],
    });
    cursors.push(5n);
    expect(await settled).toMatchObject({ name: 'AcquireRestart' });
    expect(log).not.toContain('confirmed');
  });

  it('ends with the reason of its signal while it waits for the coordinator or the application', async () => {
    const forever = new Promise<void>(() => undefined);
    for (const step of ['waitUntilConfirmed', 'announce']) {
      const { log, settled, stop } = acquiring(6n, null, { [step]: () => forever });
      await vi.waitUntil(() => log.includes('held 4 by 9'));
      stop.abort('released');
      expect(await settled).toBe('released');
      expect(log).not.toContain('activate 7');
    }
  });
});
