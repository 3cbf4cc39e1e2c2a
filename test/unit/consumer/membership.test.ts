import { describe, expect, it } from 'vitest';
import { Membership } from '../../../src/consumer/membership.js';
import { ConnectionError, errorFromStatus, ServerError } from '../../../src/errors.js';
import { ConsumerGroupMetadata_Error } from '../../../src/protocol/generated/api.js';
import { type Answer, FakeCluster } from './fake-cluster.js';

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

  it('leaves when it gives up in doubt about whether it has joined', async () => {
    const cluster = joining(...Array.from({ length: 20 }, lost));
    const join = new Membership(cluster.asCluster, 'group', 'me').join(['s'], bounds(50));
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

describe('membership.locate', () => {
  it('does not take an older epoch from any broker, but from the coordinator itself', async () => {
    const cluster = new FakeCluster(group('b2', 3n));
    const membership = new Membership(cluster.asCluster, 'group', 'me');
    await membership.join(['s'], bounds());
    expect(await membership.locate('anyone', false, bounds())).toBe(false);
    expect(membership.epoch).toBe(5n);
    expect(await membership.locate('coordinator', false, bounds())).toBe(true);
    expect(membership.epoch).toBe(3n);
    expect(cluster.calls.at(-1)).toMatchObject({ method: 'fetchMetadata', to: 'b1' });
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

describe('membership.leave', () => {
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
