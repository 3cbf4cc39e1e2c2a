import { describe, expect, it } from 'vitest';
import { eventually } from '../cluster/clients.js';
import { threeBrokers } from '../cluster/running.js';

const FOLLOWER = { readISRReplica: true };
/** The leader waits for the isolated follower. */
const PATIENT = {
  settings: { 'clustering.replica.max.leader.timeout': '1h', 'clustering.replica.max.lag.time': '1h' },
};

/** A follower that has 10 messages, knows that they are committed, and is isolated from the others. */
async function cutOff() {
  const cluster = await threeBrokers({}, PATIENT);
  const { broker, clients, leader, follower, other } = cluster;
  for (let i = 0; i < 10; i++) await clients[leader]!.publish('s', String(i), { ackPolicy: 'ALL' });
  const whole = clients[follower]!.subscribe('s', FOLLOWER);
  await whole.count(10);
  whole.cancel();
  broker.faults.partition(follower, leader);
  broker.faults.partition(follower, other);
  return { ...cluster, reader: clients[follower]! };
}

describe('a follower whose log is truncated below its high watermark', () => {
  it('rejects new subscriptions until it has fetched the messages again', async () => {
    const { broker, reader, follower } = await cutOff();
    broker.truncateReplica('s', 0, follower, 2);
    expect(await reader.subscribe('s', FOLLOWER).ended).toEqual({
      code: 'INTERNAL',
      details: 'Failed to create stream reader: segment not found',
    });
    broker.faults.heal();
    await eventually(
      async () => {
        const again = reader.subscribe('s', { ...FOLLOWER, stopPosition: 'STOP_LATEST' });
        await again.ended;
        return again.offsets.length;
      },
      (count) => count === 10,
    );
  });

  it('continues subscriptions that have read everything, without a gap', async () => {
    const { broker, clients, leader, reader, follower } = await cutOff();
    const subscription = reader.subscribe('s', FOLLOWER);
    await subscription.count(10);
    broker.truncateReplica('s', 0, follower, 2);
    broker.faults.heal();
    await clients[leader]!.publish('s', 'next', { ackPolicy: 'ALL' });
    await subscription.count(11);
    expect(subscription.offsets).toEqual(Array.from({ length: 11 }, (_, i) => i));
    subscription.cancel();
  });

  it('cannot be the leader, or a broker or offset that does not exist', async () => {
    const { broker, leader, follower } = await cutOff();
    expect(() => broker.truncateReplica('s', 0, leader, 2)).toThrow('a broker that follows partition 0 of "s"');
    expect(() => broker.truncateReplica('s', 0, follower, -1)).toThrow(
      'expected offset to be an integer of at least 0',
    );
  });
});
