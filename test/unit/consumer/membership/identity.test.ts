import { describe, expect, it } from 'vitest';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import { Identity } from '../../../../src/consumer/membership/identity.js';

/** Cursors as a server keeps them; `highest`: as one before 1.10, which returns the highest value of each. */
function server(highest = false) {
  const cursors = new Map<string, bigint>();
  let failures = 0;
  const context = {
    cursors: {
      fetch: async (id: string) => cursors.get(id) ?? -1n,
      set: async (id: string, _stream: string, _partition: number, value: bigint) => {
        if (failures-- > 0) throw new Error('no leader');
        const before = cursors.get(id) ?? -1n;
        cursors.set(id, highest && before > value ? before : value);
      },
    },
  } as unknown as ConsumerContext;
  const identity = (self: bigint, consumerId = 'me') => new Identity(context, { groupId: 'group', consumerId }, self);
  return { identity, cursors, fail: (times: number) => (failures = times) };
}

const { signal } = new AbortController();

describe('the identity of a member', () => {
  it.each([false, true])('belongs to the process that has joined last, highest values: %s', async (highest) => {
    const { identity } = server(highest);
    const [first, second] = [identity(2n ** 31n - 1n), identity(7n)];
    await first.claim(signal);
    expect(await first.isOwn({})).toBe(true);
    await second.claim(signal);
    expect([await first.isOwn({}), await second.isOwn({})]).toEqual([false, true]);
    await first.claim(signal);
    expect([await first.isOwn({}), await second.isOwn({})]).toEqual([true, false]);
  });

  it('is told apart from that of other members', async () => {
    const { identity } = server();
    const [me, you] = [identity(1n, 'me'), identity(2n, 'you')];
    await me.claim(signal);
    await you.claim(signal);
    expect([await me.isOwn({}), await you.isOwn({})]).toEqual([true, true]);
  });

  it('is claimed again until that is stored, and is not in doubt before', async () => {
    const { identity, cursors, fail } = server();
    fail(2);
    const me = identity(1n);
    const claimed = me.claim(signal);
    expect(await me.isOwn({})).toBe(true);
    await claimed;
    expect(cursors.size).toBe(1);
  });
});
