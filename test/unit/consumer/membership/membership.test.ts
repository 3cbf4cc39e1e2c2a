import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Membership } from '../../../../src/consumer/membership/membership.js';
import { ConnectionError, errorFromStatus, ServerError } from '../../../../src/errors.js';
import { ConsumerGroupMetadata_Error } from '../../../../src/protocol/generated/api.js';
import { type Answer, FakeCluster } from '../fake-cluster.js';

const clock = vi.hoisted(() => ({ now: 1_000, wall: 5_000 }));
vi.mock('../../../../src/async/clock.js', () => ({ monotonicNow: () => clock.now, wallNow: () => clock.wall }));
beforeEach(() => {
  clock.now = 1_000;
  clock.wall = 5_000;
});

const JOINED = { coordinator: 'b1', epoch: 5n, consumerTimeout: 3_000_000_000n, coordinatorTimeout: 4_000_000_000n };
const lost = () => new ConnectionError('the answer was lost', { reason: 'lost' });
const exists = (text = 'consumer is already a member of the consumer group') =>
  errorFromStatus('JoinConsumerGroup', { code: 9, details: text });
const bounds = (timeout = 1_000) => ({ signal: new AbortController().signal, timeout });

function joining(...outcomes: (Error | typeof JOINED)[]): FakeCluster {
  return new FakeCluster(({ method }) => {
    if (method !== 'joinConsumerGroup') return {};
    const outcome = outcomes.shift() ?? JOINED;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
}

function group(coordinator: string, epoch: bigint): Answer {
  const known = { groupId: 'group', error: ConsumerGroupMetadata_Error.OK, coordinator, epoch };
  return ({ method }) => (method === 'joinConsumerGroup' ? JOINED : { groupMetadata: [known] });
}

describe('membership.join', () => {
  it('takes the timeouts over as milliseconds', async () => {
    const membership = new Membership(joining().asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    expect([membership.epoch, membership.consumerTimeout, membership.coordinatorTimeout]).toEqual([5n, 3_000, 4_000]);
  });

  it('tries again while the cluster elects a leader, and when its group was made by another member meanwhile', async () => {
    const electing = new ServerError('electing', {
      status: 'INTERNAL',
      text: 'no known metadata leader',
      retryable: true,
    });
    const cluster = joining(electing, exists('consumer group already exists'));
    await new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    expect(cluster.methods.filter((method) => method === 'joinConsumerGroup')).toHaveLength(3);
  });

  it('rejects with CONSUMER_EXISTS without another attempt when another member has the id', async () => {
    const cluster = joining(exists());
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    await expect(join).rejects.toMatchObject({ code: 'CONSUMER_EXISTS' });
    expect(cluster.methods).toEqual(['joinConsumerGroup']);
  });

  it('counts as a member still when a later join is refused because of its id', async () => {
    const cluster = joining(JOINED, exists(), exists());
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    expect(await membership.join(['s'], bounds())).toBe('joined');
    expect(await membership.join(['s'], bounds())).toBe('member');
    expect(membership).toMatchObject({ term: 1, epoch: 5n, mayBeReplaced: true });
    expect(cluster.methods).not.toContain('leaveConsumerGroup');
  });

  it('rejects with CONSUMER_EXISTS when an attempt before was certainly not carried out', async () => {
    const electing = errorFromStatus('JoinConsumerGroup', { code: 13, details: 'no known metadata leader' });
    const cluster = joining(electing, exists());
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    await expect(join).rejects.toMatchObject({ code: 'CONSUMER_EXISTS' });
    expect(cluster.methods).not.toContain('leaveConsumerGroup');
  });

  it('joins again when the last member of the group leaves at that moment', async () => {
    const gone = errorFromStatus('JoinConsumerGroup', { code: 5, details: 'consumer group does not exist' });
    const cluster = joining(gone, JOINED);
    await new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    expect(cluster.methods).toEqual(['joinConsumerGroup', 'joinConsumerGroup']);
  });

  it.each(['leadership lost while committing log', 'raft operation timed out'])(
    'leaves and joins again when an attempt that failed of "%s" had been carried out',
    async (details) => {
      const cluster = joining(errorFromStatus('JoinConsumerGroup', { code: 9, details }), exists());
      await new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
      expect(cluster.methods.filter((method) => method === 'leaveConsumerGroup')).toHaveLength(1);
    },
  );

  it('tries to leave again when that fails for the moment', async () => {
    const cluster = joining(lost(), exists(), exists());
    const { answer } = cluster;
    let leaves = 0;
    cluster.answer = (call, waiting) => {
      if (call.method === 'leaveConsumerGroup' && ++leaves === 1) throw lost();
      return answer(call, waiting);
    };
    await new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    expect(leaves).toBe(2);
  });

  it('leaves and joins again when an attempt whose answer was lost had been carried out', async () => {
    const cluster = joining(lost(), exists());
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    expect(cluster.methods).toEqual([
      'joinConsumerGroup',
      'joinConsumerGroup',
      'leaveConsumerGroup',
      'joinConsumerGroup',
    ]);
    expect(membership.epoch).toBe(5n);
  });

  it('rejects with CONSUMER_EXISTS when another member has the id once it has left', async () => {
    const cluster = joining(lost(), exists(), exists());
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    await expect(join).rejects.toMatchObject({ code: 'CONSUMER_EXISTS' });
    expect(cluster.methods.filter((method) => method === 'joinConsumerGroup')).toHaveLength(3);
  });

  it('leaves when it gives up in doubt about whether it has joined', async () => {
    const cluster = joining(...Array.from({ length: 20 }, lost));
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds(10));
    await expect(join).rejects.toMatchObject({ code: 'CONNECTION' });
    expect(cluster.methods.at(-1)).toBe('leaveConsumerGroup');
  });

  it('leaves when it is aborted, since it may have joined', async () => {
    const stop = new AbortController();
    const cluster = new FakeCluster(({ method }) => {
      if (method !== 'joinConsumerGroup') return {};
      stop.abort(new Error('enough'));
      throw stop.signal.reason;
    });
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], { signal: stop.signal, timeout: 1_000 });
    await expect(join).rejects.toThrow('enough');
    expect(cluster.methods).toEqual(['joinConsumerGroup', 'leaveConsumerGroup']);
  });
});

describe('an attempt to join that fails', () => {
  it('is reported as a retry with its delay', async () => {
    const cluster = joining(lost(), JOINED);
    await new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds());
    const delay = expect.any(Number);
    const error = expect.objectContaining({ code: 'CONNECTION' });
    expect(cluster.events).toEqual([['retry', { operation: 'JoinConsumerGroup', attempt: 1, delay, error }]]);
  });
});

describe('membership.locate', () => {
  it('does not take an older epoch from any broker, but from the coordinator itself', async () => {
    const cluster = new FakeCluster(group('b2', 3n));
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    clock.now += 1_000;
    expect(await membership.locate('anyone', false, bounds())).toBe(false);
    expect(membership.epoch).toBe(5n);
    expect(await membership.locate('coordinator', false, bounds())).toBe(true);
    expect(membership.epoch).toBe(3n);
    expect(cluster.calls.at(-1)).toMatchObject({ method: 'fetchMetadata', to: 'b1' });
  });

  it('does not take an older epoch from a coordinator that has not applied the join yet', async () => {
    const membership = new Membership(new FakeCluster(group('b1', 3n)).asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    expect(await membership.locate('coordinator', false, bounds())).toBe(false);
    expect(membership.epoch).toBe(5n);
  });

  it('takes any epoch from any broker when it is told to', async () => {
    const membership = new Membership(new FakeCluster(group('b2', 3n)).asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    expect(await membership.locate('anyone', true, bounds())).toBe(true);
  });

  it('finds nothing where the group is not known', async () => {
    const membership = new Membership(
      new FakeCluster(() => ({ ...JOINED, groupMetadata: [] })).asCluster,
      'group',
      'me',
    );
    await membership.join(['s'], bounds());
    expect(await membership.locate('anyone', true, bounds())).toBe(false);
  });
});

describe('membership.isCurrent', () => {
  const TIMEOUT = 3_000;

  /** A member that has been silent for longer than the group's timeout, in a group that looks like this. */
  async function silent(coordinator: string, epoch: bigint): Promise<Membership> {
    const cluster = new FakeCluster(group(coordinator, epoch));
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    await membership.poll(bounds());
    clock.now += TIMEOUT;
    expect(membership.isCurrent).toBe(true);
    clock.now += 1;
    expect(membership.isCurrent).toBe(false);
    return membership;
  }

  it('is renewed by an answered poll, once it is certain that no other process has the id', async () => {
    const membership = await silent('b1', 5n);
    expect(membership.mayBeReplaced).toBe(false);
    await membership.poll(bounds());
    expect(membership).toMatchObject({ isCurrent: false, lapsed: true, mayBeReplaced: true });
    membership.confirm();
    expect(membership).toMatchObject({ isCurrent: true, lapsed: false, mayBeReplaced: false });
  });

  it('is renewed by any broker that says that the group has not changed', async () => {
    const membership = await silent('b1', 5n);
    await membership.locate('anyone', false, bounds());
    expect(membership.isCurrent).toBe(true);
  });

  it('is not renewed by a broker that tells of an epoch which was learned after the last poll', async () => {
    const membership = await silent('b1', 6n);
    expect(await membership.locate('coordinator', false, bounds())).toBe(true);
    // The epoch is known now, and nothing has changed since: it is the one in which this member was expired.
    expect(await membership.locate('anyone', false, bounds())).toBe(false);
    expect(membership.isCurrent).toBe(false);
    await membership.poll(bounds());
    expect(membership).toMatchObject({ lapsed: true, mayBeReplaced: true });
    membership.confirm();
    clock.now += TIMEOUT + 1;
    await membership.locate('anyone', false, bounds());
    expect(membership.isCurrent).toBe(true);
  });

  it('counts an answered poll from the moment of the question', async () => {
    const cluster = new FakeCluster(group('b1', 5n));
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    const polling = membership.poll(bounds());
    clock.now += TIMEOUT - 100;
    await polling;
    membership.confirm();
    clock.now += 101;
    expect(membership.isCurrent).toBe(false);
  });

  it.each([
    ['another epoch', 'b1', 6n],
    ['an older epoch', 'b1', 4n],
    ['another coordinator', 'b2', 5n],
  ])('is not renewed by a broker that tells of %s', async (_what, coordinator, epoch) => {
    const membership = await silent(coordinator, epoch);
    await membership.locate('anyone', false, bounds());
    expect(membership.isCurrent).toBe(false);
  });

  it('ends while the machine sleeps and its monotonic clock stops', async () => {
    const membership = new Membership(new FakeCluster(group('b1', 5n)).asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    await membership.poll(bounds());
    clock.wall -= 60_000;
    expect(membership.isCurrent).toBe(true);
    clock.wall += 60_000 + TIMEOUT + 1;
    expect(membership.isCurrent).toBe(false);
  });

  it('is not renewed by joining again: partitions of before are to be given up first', async () => {
    const membership = await silent('b1', 5n);
    await membership.join(['s'], bounds());
    expect(membership).toMatchObject({ isCurrent: false, term: 2, mayBeReplaced: false });
  });
});

describe('membership.leave', () => {
  it('does nothing when another process has the membership', async () => {
    const cluster = new FakeCluster(() => ({}));
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    membership.markReplaced();
    await membership.leave({});
    expect(cluster.calls).toEqual([]);
  });

  it.each(['consumer is not a member of the consumer group', 'consumer group does not exist'])(
    'is content with "%s"',
    async (text) => {
      const cluster = new FakeCluster(() => {
        throw errorFromStatus('LeaveConsumerGroup', { code: 9, details: text });
      });
      await new Membership(cluster.asCluster, 'group', 'me').leave({});
      expect(cluster.methods).toEqual(['leaveConsumerGroup']);
    },
  );
});
