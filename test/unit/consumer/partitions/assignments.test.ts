import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConsumerContext } from '../../../../src/consumer/context.js';
import { AcquireRestart } from '../../../../src/consumer/partitions/acquire-partition.js';
import { Announcements } from '../../../../src/consumer/partitions/announcements.js';
import { Assignments } from '../../../../src/consumer/partitions/assignments.js';
import type { HeldPartition } from '../../../../src/consumer/partitions/held-partition.js';
import type { Mark } from '../../../../src/consumer/partitions/ownership.js';
import { errorFromStatus, PermissionDeniedError, StreamDeletedError, TimeoutError } from '../../../../src/errors.js';
import { deferred } from '../../../support/deferred.js';
import { FakeCluster } from '../../subscribe/fakes.js';

vi.mock('../../../../src/async/timers.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/clock.js', () => import('../../../support/global-timers.js'));
vi.mock('../../../../src/async/backoff.js', () => import('../../../support/steady-backoff.js'));

let cluster: FakeCluster;
/** What happened, in order. */
let log: string[];
/** What the next attempts to read a mark fail of. */
let failures: unknown[];
/** Holds releases up. */
let releasing: Promise<void>;
let announced: [string, number[]][];
let epochs: unknown[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.advanceTimersByTime(10_000);
  cluster = new FakeCluster();
  cluster.partitions = 10;
  Object.assign(cluster, {
    callLeader: async () => ({ metadata: { newestOffset: 9n } }),
    logger: { debug: () => undefined, warn: () => undefined },
  });
  log = [];
  failures = [];
  releasing = Promise.resolve();
  announced = [];
  epochs = [];
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const given = (partitions: Record<string, number[]>) =>
  Object.entries(partitions).map(([stream, ids]) => ({ stream, partitions: ids }));

function assigning() {
  const context = { cluster, requestTimeout: 1_000, resubscribeTimeout: 2_000 } as unknown as ConsumerContext;
  const ownership = {
    self: 9n,
    read: async (): Promise<Mark | null> => {
      if (failures.length > 0) throw failures.shift();
      return null;
    },
    isTaken: () => false,
    isOvertaken: () => false,
    write: async (stream: string, partition: number, { generation, state }: Mark) => {
      epochs.push(generation);
      log.push(`${state} ${stream}/${partition}`);
    },
  };
  const checkpoints = {
    fetch: async () => 4n,
    store: async ({ stream, partition }: HeldPartition) => {
      await releasing;
      log.push(`stored ${stream}/${partition}`);
    },
  };
  return new Assignments(
    context,
    { groupId: 'g', consumerId: 'c', term: 2 },
    new Announcements(
      (stream, partitions) => void announced.push([stream, [...partitions]]),
      () => undefined,
    ),
    {
      cluster: cluster as never,
      groupId: 'g',
      autoOffset: 'earliest',
      checkpoints: checkpoints as never,
      ownership: ownership as never,
      silence: 1_500,
      patience: 10_000,
      waitUntilReadable: async () => undefined,
      canWrite: async () => 'yes',
      waitUntilConfirmed: async () => undefined,
    },
    {
      checkpoints: checkpoints as never,
      ownership: ownership as never,
      onRevoked: undefined,
      patience: 1_000,
      storeTimeout: 1_000,
      report: () => undefined,
    },
    {
      ready: () => undefined,
      lost: () => undefined,
      gone: ({ stream }) => void log.push(`gone ${stream}`),
      failed: (_held, error) => void log.push(`failed ${(error as { code: string }).code}`),
      stuck: () => undefined,
      hurry: () => void log.push('hurry'),
    },
  );
}

/** The held partition of that id. */
const find = (assignments: Assignments, id: number): HeldPartition =>
  [...assignments.held].find(({ partition }) => partition === id)!;

describe('Assignments', () => {
  it('acquire what is new, release what is not assigned any more, and keep the rest', async () => {
    const assignments = assigning();
    const first = assignments.reconcile(given({ orders: [2, 0], bills: [1] }), 4n);
    expect([...first.assigned]).toEqual([
      ['bills', [1]],
      ['orders', [0, 2]],
    ]);
    expect(first.revoked.size).toBe(0);
    await assignments.waitUntilOwnWorkDone();
    await pass();
    expect(log.toSorted()).toEqual(['held bills/1', 'held orders/0', 'held orders/2']);
    expect(announced.toSorted()).toEqual([
      ['bills', [1]],
      ['orders', [0, 2]],
    ]);
    const kept = find(assignments, 2);
    expect([kept.position, kept.epoch, kept.term]).toEqual([5n, 4n, 2]);
    log.length = 0;
    const second = assignments.reconcile(given({ orders: [2, 3] }), 5n);
    expect([[...second.assigned], [...second.revoked]]).toEqual([
      [['orders', [3]]],
      [
        ['bills', [1]],
        ['orders', [0]],
      ],
    ]);
    expect([...assignments.map]).toEqual([['orders', [2, 3]]]);
    expect([find(assignments, 2) === kept, kept.epoch]).toEqual([true, 5n]);
    expect([...assignments.known]).toEqual(['orders']);
    await assignments.waitUntilReleased();
    await pass(25);
    expect(log.toSorted()).toEqual([
      'held orders/3',
      'released bills/1',
      'released orders/0',
      'stored bills/1',
      'stored orders/0',
    ]);
    const third = assignments.reconcile(given({ orders: [2, 3] }), 6n);
    expect([third.assigned.size, third.revoked.size]).toEqual([0, 0]);
  });

  it('read a partition that comes back only after its release', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(25);
    const gate = deferred<void>();
    releasing = gate.promise;
    assignments.reconcile([], 5n);
    assignments.reconcile(given({ orders: [0] }), 6n);
    await pass(25);
    expect([cluster.calls.length, log]).toEqual([1, ['held orders/0']]);
    gate.resolve();
    await pass(25);
    expect(log).toEqual(['held orders/0', 'stored orders/0', 'released orders/0', 'held orders/0']);
    expect(epochs.at(-1)).toBe(6n);
  });

  it('try again with backoff after a failure that may pass, and tell of each attempt', async () => {
    failures = [new TimeoutError('late'), new TimeoutError('late')];
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(19);
    expect(find(assignments, 0).trouble.error).toBeInstanceOf(TimeoutError);
    await pass(200);
    expect(cluster.emitted.map(([name, { delay }]) => [name, delay])).toEqual([
      ['retry', 20],
      ['retry', 40],
    ]);
    expect(log).toEqual(['held orders/0']);
    expect(find(assignments, 0).trouble.error).toBeNull();
  });

  it('count no trouble when acquiring only starts again', async () => {
    failures = [new AcquireRestart('its position was set back meanwhile')];
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(19);
    expect([find(assignments, 0).trouble.error, log]).toEqual([null, []]);
    await pass(200);
    expect(log).toEqual(['held orders/0']);
  });

  it.each<[unknown, string[]]>([
    [new PermissionDeniedError('no'), ['failed PERMISSION_DENIED']],
    [new StreamDeletedError('gone'), ['gone orders', 'held orders/0']],
    [
      errorFromStatus('Subscribe', { code: 9, details: 'Consumer is not currently assigned this partition' }),
      ['hurry', 'held orders/0'],
    ],
  ])('fail, look for the stream, or poll after a failure: %s', async (failure, expected) => {
    failures = [failure];
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(100);
    expect(log).toEqual(expected);
  });

  it('stop acquiring a partition that is released meanwhile', async () => {
    failures = Array.from({ length: 20 }, () => new TimeoutError('late'));
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(10);
    assignments.reconcile([], 5n);
    await pass(5_000);
    expect([log, cluster.emitted.length, cluster.calls.length]).toEqual([[], 1, 0]);
  });

  it('release together what is lost within a moment, and poll at once', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0, 1, 2] }), 4n);
    await pass(25);
    log.length = 0;
    const [one, two] = [find(assignments, 0), find(assignments, 1)];
    assignments.releaseLost(one);
    assignments.releaseLost(one);
    assignments.releaseLost(two);
    expect([one.signal.aborted, log]).toEqual([true, ['hurry', 'hurry']]);
    expect([...assignments.map]).toEqual([['orders', [2]]]);
    await pass(9);
    expect([...assignments.held]).toHaveLength(3);
    await pass(1);
    expect([...assignments.held]).toHaveLength(1);
    assignments.releaseLost(one);
    expect(log.filter((entry) => entry === 'hurry')).toHaveLength(2);
    await assignments.waitUntilReleased();
    expect(log.toSorted().slice(2)).toEqual([
      'released orders/0',
      'released orders/1',
      'stored orders/0',
      'stored orders/1',
    ]);
  });

  it('release what is lost before they acquire it again', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0] }), 4n);
    await pass(25);
    const before = find(assignments, 0);
    assignments.releaseLost(before);
    assignments.reconcile(given({ orders: [0] }), 5n);
    await pass(25);
    expect(find(assignments, 0)).not.toBe(before);
    expect(vi.getTimerCount()).toBe(0);
    expect(log).toEqual(['held orders/0', 'hurry', 'stored orders/0', 'released orders/0', 'held orders/0']);
  });

  it('give everything up when the member has expired, and return what it had', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0, 1] }), 4n);
    await pass(25);
    assignments.releaseLost(find(assignments, 1));
    expect([...assignments.expire()]).toEqual([['orders', [0, 1]]]);
    expect([assignments.map.size, assignments.known.size, [...assignments.held].length]).toEqual([0, 0, 0]);
    expect(assignments.expire().size).toBe(0);
    await assignments.waitUntilReleased();
    await pass(50);
    expect(log.filter((entry) => entry.startsWith('released'))).toHaveLength(2);
    const again = assignments.reconcile(given({ orders: [0] }), 4n);
    expect([...again.assigned]).toEqual([['orders', [0]]]);
  });

  it('release everything for good', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0, 1] }), 4n);
    await pass(25);
    assignments.releaseLost(find(assignments, 1));
    await assignments.releaseAll(0, 500);
    expect([[...assignments.held].length, vi.getTimerCount()]).toEqual([0, 0]);
    expect(log.filter((entry) => entry.startsWith('released'))).toHaveLength(2);
    const { assigned, revoked } = assignments.reconcile(given({ orders: [0] }), 5n);
    expect([assigned.size, revoked.size, [...assignments.held].length]).toEqual([0, 0, 0]);
  });

  it('let every partition follow its leader', async () => {
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0, 1] }), 4n);
    await pass(25);
    cluster.leaderId = 'b';
    assignments.metadataChanged();
    await pass();
    expect(cluster.calls.slice(2).map(({ broker, partition }) => [broker, partition])).toEqual([
      ['b', 0],
      ['b', 1],
    ]);
  });

  it('wait with announcing until the other partitions of the stream are there', async () => {
    failures = [new TimeoutError('late')];
    const assignments = assigning();
    assignments.reconcile(given({ orders: [0, 1], bills: [0] }), 4n);
    await pass();
    expect(announced).toEqual([['bills', [0]]]);
    await pass(20);
    expect(announced).toEqual([
      ['bills', [0]],
      ['orders', [0, 1]],
    ]);
  });
});
