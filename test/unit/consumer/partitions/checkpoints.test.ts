import { describe, expect, it } from 'vitest';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import { Checkpoints, type Standing } from '../../../../src/consumer/partitions/checkpoints.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import { encodeMark, Ownership } from '../../../../src/consumer/partitions/ownership.js';
import { PartitionPausedError, TimeoutError } from '../../../../src/errors.js';

const GROUP = 'billing';
const CURSOR = `__group:${GROUP}`;
const OWNER = `__owner:${GROUP}`;

/** The cursors of one partition, and a member that took it over in term 1 and has processed up to offset 109. */
function member(standing: Partial<Standing>) {
  const cursors = new Map<string, bigint>();
  const broker = { failure: null as Error | null };
  const callLeader = async () => {
    if (broker.failure !== null) throw broker.failure;
    return {};
  };
  const context = {
    cluster: { partitionCount: () => 3, callLeader },
    cursors: {
      fetch: async (cursorId: string) => cursors.get(cursorId) ?? -1n,
      set: async (cursorId: string, _stream: string, _partition: number, offset: bigint) => {
        cursors.set(cursorId, offset);
      },
    },
  } as unknown as ConsumerContext;
  const ownership = new Ownership(context, GROUP);
  const checkpoints = new Checkpoints(context, { groupId: GROUP, isCurrent: true, term: 1, ...standing }, ownership);
  const held = {
    stream: 'orders',
    partition: 3,
    generation: 4n,
    term: 1,
    unstored: 109n as bigint | null,
    stored: 50n,
    verifyUntil: 0,
    markStored: (stored: bigint) => Object.assign(held, { unstored: null, stored }),
  };
  return { broker, cursors, checkpoints, held: held as unknown as HeldPartition, self: ownership.self };
}

/** The mark of another member that has taken the partition over. */
const overtaken = (self: bigint) => encodeMark({ generation: 5n, owner: (self + 1n) % 2n ** 31n, state: 'held' });

describe('a checkpoint', () => {
  it.each([
    ['that was silent for longer than the timeout of its group', { isCurrent: false }],
    ['that was expired and has joined again', { term: 2 }],
  ])('of a member %s does not set back what the next owner has stored', async (_what, standing) => {
    const { cursors, checkpoints, held, self } = member(standing);
    cursors.set(CURSOR, 294n).set(OWNER, overtaken(self));
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(294n);
  });

  it('of a member that was expired does not go behind a position of a client that keeps no marks', async () => {
    const { cursors, checkpoints, held, self } = member({ isCurrent: false });
    const mine = encodeMark({ generation: 4n, owner: self, state: 'held' });
    cursors.set(CURSOR, 294n).set(OWNER, mine);
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(294n);
  });

  it('of a member that may have been expired is stored where the partition had no other owner', async () => {
    const { cursors, checkpoints, held, self } = member({ isCurrent: false });
    const mine = encodeMark({ generation: 4n, owner: self, state: 'held' });
    cursors.set(CURSOR, 50n).set(OWNER, mine);
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(109n);
    expect(held.unstored).toBeNull();
  });

  it('of a member in good standing is stored without asking', async () => {
    const { cursors, checkpoints, held, self } = member({});
    cursors.set(OWNER, overtaken(self));
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(109n);
  });

  it('is made again where a late write of an owner that counted as dead has set the cursor back', async () => {
    const { cursors, checkpoints, held } = member({});
    held.verifyUntil = Number.POSITIVE_INFINITY;
    await checkpoints.store(held);
    cursors.set(CURSOR, 29n);
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(109n);
  });

  it('that holds already is not written again', async () => {
    const { cursors, checkpoints, held } = member({});
    await checkpoints.store(held);
    cursors.set(CURSOR, 29n);
    await checkpoints.store(held);
    expect(cursors.get(CURSOR)).toBe(29n);
  });

  it('is not sent to a broker that does not answer: it could arrive when others have gone on', async () => {
    const { broker, cursors, checkpoints, held } = member({});
    broker.failure = new TimeoutError('no answer');
    await expect(checkpoints.storeAll([held])).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(cursors.size).toBe(0);
    broker.failure = null;
    await checkpoints.storeAll([held]);
    expect(cursors.get(CURSOR)).toBe(109n);
  });

  it('rejects when one of several cannot be stored, once all were tried', async () => {
    const { cursors, checkpoints, held } = member({});
    const fails = { ...held, partition: 3 } as HeldPartition;
    const late = new TimeoutError('late');
    Object.defineProperty(fails, 'unstored', {
      get: () => {
        if (tried++ > 1) throw late;
        return 5n;
      },
    });
    let tried = 0;
    await expect(checkpoints.storeAll([fails, held])).rejects.toBe(late);
    expect(cursors.get(CURSOR)).toBe(109n);
  });

  it('resumes a paused partition of the cursors', async () => {
    const { broker, cursors, checkpoints, held } = member({});
    broker.failure = new PartitionPausedError('paused');
    await checkpoints.storeAll([held]);
    expect(cursors.get(CURSOR)).toBe(109n);
  });
});
