import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MovableClock } from '../../src/clock.js';
import { chooseCoordinator } from '../../src/groups/coordinator-choice.js';
import { type Group, GroupTable } from '../../src/groups/group-table.js';
import { CoordinatorReports } from '../../src/groups/reports.js';

const BROKERS = ['b1', 'b2', 'b3'];
const WAITING = { coordinator: null };

let clock: MovableClock;

beforeEach(() => {
  clock = new MovableClock();
});
afterEach(() => clock.stop());

function groupOf(size: number): Group {
  const table = new GroupTable(() => 1);
  for (let i = 1; i <= size; i++) table.join('g', `c${i}`, ['s'], 'b1', BigInt(i));
  return table.get('g')!;
}

function reports(keepWitnesses = false): CoordinatorReports {
  return new CoordinatorReports(clock, { timeout: 1_000, keepWitnesses });
}

describe('CoordinatorReports', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
  ])('of %i members needs the reports of %i', (members, needed) => {
    const group = groupOf(members);
    const counted = reports();
    for (let i = 1; i < needed; i++) expect(counted.report(group, `c${i}`, BROKERS, [group])).toEqual(WAITING);
    expect(counted.report(group, `c${needed}`, BROKERS, [group])).toEqual({ coordinator: 'b2' });
  });

  it('counts a consumer once, however often it reports', () => {
    const group = groupOf(2);
    const counted = reports();
    expect(counted.report(group, 'c1', BROKERS, [group])).toEqual(WAITING);
    expect(counted.report(group, 'c1', BROKERS, [group])).toEqual(WAITING);
    expect(counted.report(group, 'c2', BROKERS, [group])).toEqual({ coordinator: 'b2' });
  });

  it('drops reports when too few others follow in time after the last one', async () => {
    const group = groupOf(4);
    const counted = reports();
    counted.report(group, 'c1', BROKERS, [group]);
    await clock.advance(900);
    counted.report(group, 'c2', BROKERS, [group]);
    await clock.advance(1_000);
    expect(counted.report(group, 'c3', BROKERS, [group])).toEqual(WAITING);
  });

  it('keeps the reporters of a failover only with `keepWitnesses`', () => {
    const group = groupOf(2);
    for (const [keep, then] of [
      [true, { coordinator: 'b2' }],
      [false, WAITING],
    ] as const) {
      const counted = reports(keep);
      counted.report(group, 'c1', BROKERS, [group]);
      counted.report(group, 'c2', BROKERS, [group]);
      expect(counted.report(group, 'c1', BROKERS, [group])).toEqual(then);
    }
  });

  it('fails with FAILED_PRECONDITION when there is no other broker', () => {
    const group = groupOf(1);
    expect(() => reports().report(group, 'c1', ['b1'], [group])).toThrow(
      expect.objectContaining({ status: 'FAILED_PRECONDITION', message: 'No group coordinator candidates' }),
    );
  });
});

describe('chooseCoordinator', () => {
  it('returns the broker with the fewest groups, and the first of several', () => {
    const groups: Group[] = [];
    const chosen: (string | null)[] = [];
    for (let i = 0; i < 4; i++) {
      const coordinator = chooseCoordinator(BROKERS, groups)!;
      groups.push({ id: `g${i}`, coordinator, epoch: 0n, members: new Map() });
      chosen.push(coordinator);
    }
    expect(chosen).toEqual(['b1', 'b2', 'b3', 'b1']);
    expect(chooseCoordinator(BROKERS, groups, 'b2')).toBe('b3');
    expect(chooseCoordinator(['b1'], groups, 'b1')).toBeNull();
  });
});
