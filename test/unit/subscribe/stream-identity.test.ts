import { beforeEach, describe, expect, it } from 'vitest';
import { StreamIdentity } from '../../../src/subscribe/stream-identity.js';
import { FakeCluster } from './fakes.js';

let cluster: FakeCluster;
let identity: StreamIdentity;
beforeEach(() => {
  cluster = new FakeCluster();
  identity = new StreamIdentity(cluster as never, 'orders', 2);
});

const missing = new Error('unknown to the broker');
const check = (existing: string) => {
  cluster.existing = existing;
  return identity.check(missing, {}).then(
    () => null,
    (error: Error & { code?: string }) => error.code ?? error,
  );
};

describe('StreamIdentity', () => {
  it('detects a stream that was recreated, once it is settled', () => {
    identity.adopt();
    cluster.created = 2;
    expect(identity.isReplaced).toBe(false);
    identity.adopt();
    identity.settle();
    expect(identity.isReplaced).toBe(false);
    cluster.created = 3;
    identity.adopt();
    expect(identity.isReplaced).toBe(true);
  });

  it('does not count a stream as recreated when its creation time is unknown, now or before', () => {
    identity.settle();
    expect(identity.isReplaced).toBe(false);
    identity = new StreamIdentity(cluster as never, 'orders', 2);
    identity.adopt();
    identity.settle();
    cluster.created = null as never;
    expect(identity.isReplaced).toBe(false);
  });

  it('is certain that a stream is missing only when the cluster is', async () => {
    identity.adopt();
    cluster.partitions = 3;
    expect(await check('gone')).toBe(missing);
    expect(await check('unsure')).toBeNull();
    expect(await check('present')).toBeNull();
    expect(cluster.sought[0]).toEqual({ stream: 'orders', createdAt: 1 });
  });

  it('rejects a recreated stream only once it is settled', async () => {
    cluster.partitions = 3;
    expect(await check('replaced')).toBeNull();
    identity.settle();
    expect(await check('replaced')).toBe('STREAM_DELETED');
  });

  it.each([
    ['present', 2, 'NO_SUCH_PARTITION'],
    ['present', 1, 'NO_SUCH_PARTITION'],
    ['present', 3, null],
    ['present', 0, null],
    ['unsure', 2, null],
  ])('rejects a partition that the stream does not have: stream %s, %d partitions', async (existing, count, code) => {
    cluster.partitions = count;
    expect(await check(existing)).toBe(code);
  });

  it.each([
    ['gone', true],
    ['replaced', true],
    ['present', false],
    ['unsure', false],
  ])('counts a stream as deleted when the cluster says so: %s', async (existing, expected) => {
    cluster.existing = existing;
    identity.adopt();
    expect(await identity.isDeleted('a', {})).toBe(expected);
    expect(cluster.sought).toEqual([{ stream: 'orders', createdAt: 1, deletedBy: 'a' }]);
  });
});
