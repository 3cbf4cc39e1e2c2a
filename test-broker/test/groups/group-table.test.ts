import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Group, GroupTable } from '../../src/groups/group-table.js';

function tableOf(streams: Record<string, number>): { table: GroupTable; streams: Map<string, number> } {
  const partitions = new Map(Object.entries(streams));
  return { table: new GroupTable((stream) => partitions.get(stream) ?? 0), streams: partitions };
}

function assignments(group: Group | undefined): Record<string, Record<string, readonly number[]>> {
  const members = [...(group?.members.values() ?? [])];
  return Object.fromEntries(members.map(({ id, assignments }) => [id, Object.fromEntries(assignments)]));
}

describe('GroupTable', () => {
  it('balances as the server does when members join, leave, and lose a stream', () => {
    const { table, streams } = tableOf({ s1: 5, s2: 3 });
    table.join('g', 'c1', ['s1'], 'a', 10n);
    expect(table.get('g')).toMatchObject({ coordinator: 'a', epoch: 0n });
    expect(assignments(table.get('g'))).toEqual({ c1: { s1: [0, 1, 2, 3, 4] } });
    table.join('g', 'c2', ['s1', 's2', 's1'], 'b', 12n);
    expect(table.get('g')).toMatchObject({ coordinator: 'a', epoch: 12n });
    expect(assignments(table.get('g'))).toEqual({ c1: { s1: [0, 2, 4] }, c2: { s1: [1, 3], s2: [0, 1, 2] } });
    table.join('g', 'b3', ['s2'], 'a', 14n);
    expect(assignments(table.get('g'))).toEqual({ c1: { s1: [0, 2, 4] }, c2: { s1: [1, 3] }, b3: { s2: [0, 1, 2] } });
    table.leave('g', 'c2', 16n);
    expect(assignments(table.get('g'))).toEqual({ c1: { s1: [0, 1, 2, 3, 4] }, b3: { s2: [0, 1, 2] } });
    streams.delete('s1');
    table.deleteStream('s1', 18n);
    expect(assignments(table.get('g'))).toEqual({ c1: {}, b3: { s2: [0, 1, 2] } });
    expect(table.get('g')?.epoch).toBe(18n);
  });

  it('deletes a group with its last member, and a new group begins at epoch 0', () => {
    const { table } = tableOf({ s: 1 });
    table.join('g', 'c', ['s'], 'a', 3n);
    table.changeCoordinator('g', 'b', 5n);
    expect(table.get('g')).toMatchObject({ coordinator: 'b', epoch: 5n });
    table.leave('g', 'c', 7n);
    expect(table.get('g')).toBeUndefined();
    table.join('g', 'c', ['s'], 'a', 9n);
    expect(table.get('g')?.epoch).toBe(0n);
  });

  it('breaks ties by the bytes of the ids, not by their UTF-16 units', () => {
    const { table } = tableOf({ s: 2 });
    table.join('g', '\u{1f600}', ['s'], 'a', 1n);
    table.join('g', '\uffee', ['s'], 'a', 3n);
    expect(assignments(table.get('g'))).toEqual({ '\uffee': { s: [0] }, '\u{1f600}': { s: [1] } });
  });

  it('does not change groups that do not subscribe to a deleted stream', () => {
    const { table } = tableOf({ s: 1, t: 1 });
    table.join('g', 'c', ['s'], 'a', 1n);
    table.deleteStream('t', 5n);
    expect(table.get('g')?.epoch).toBe(0n);
  });

  it('assigns each partition of a stream to exactly one of its subscribers, and distributes evenly', () => {
    const consumer = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const stream = fc.constantFrom('s0', 's1', 's2');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('join' as const), consumer, streams: fc.uniqueArray(stream, { minLength: 1 }) }),
      fc.record({ kind: fc.constant('leave' as const), consumer }),
      fc.record({ kind: fc.constant('delete' as const), stream }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
        const { table, streams } = tableOf({ s0: 1, s1: 4, s2: 7 });
        steps.forEach((one, index) => {
          if (one.kind === 'join') table.join('g', one.consumer, one.streams, 'x', BigInt(index));
          else if (one.kind === 'leave') table.leave('g', one.consumer, BigInt(index));
          else {
            streams.set(one.stream, 0);
            table.deleteStream(one.stream, BigInt(index));
          }
          expectWhole(table.get('g'), streams);
        });
      }),
    );
  });

  it('is the same on every broker that applies the same operations', () => {
    const consumer = fc.constantFrom('a', 'b', 'c');
    fc.assert(
      fc.property(fc.array(fc.tuple(consumer, fc.boolean())), (steps) => {
        const tables = [tableOf({ s: 5, t: 3 }).table, tableOf({ s: 5, t: 3 }).table];
        for (const table of tables) {
          steps.forEach(([id, joins], index) => {
            if (joins) table.join('g', id, id === 'b' ? ['t', 's'] : ['s'], 'x', BigInt(index));
            else table.leave('g', id, BigInt(index));
          });
        }
        expect(assignments(tables[0]!.get('g'))).toEqual(assignments(tables[1]!.get('g')));
        expect(tables[0]!.get('g')?.epoch).toBe(tables[1]!.get('g')?.epoch);
      }),
    );
  });
});

function expectWhole(group: Group | undefined, streams: ReadonlyMap<string, number>): void {
  for (const [stream, partitions] of streams) {
    const subscribers = [...(group?.members.values() ?? [])].filter((member) => member.streams.has(stream));
    const held = subscribers.flatMap((member) => member.assignments.get(stream) ?? []);
    expect(held.sort((a, b) => a - b)).toEqual(subscribers.length === 0 ? [] : [...Array(partitions).keys()]);
  }
  for (const member of group?.members.values() ?? []) {
    for (const [stream, partitions] of member.assignments) {
      expect(member.streams.has(stream)).toBe(true);
      expect([...partitions]).toEqual([...partitions].sort((a, b) => a - b));
    }
  }
}
