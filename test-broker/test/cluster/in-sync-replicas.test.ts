import { describe, expect, it } from 'vitest';
import { eventually } from './clients.js';
import { threeBrokers } from './running.js';

// Far longer than any test: only the brokers' clock reaches it.
const SLOW = { settings: { 'clustering.replica.max.lag.time': '20m' } };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('the in-sync replicas', () => {
  it('delay ALL acks and delivery while one is down, until it is removed after the lag time', async () => {
    const { broker, clients, leader, follower } = await threeBrokers({}, SLOW);
    const subscription = clients[leader]!.subscribe('s');
    await subscription.live;
    await broker.stopBroker(follower);
    expect((await clients[leader]!.publish('s', 'a')).offset).toBe(0);
    let acked = false;
    const all = clients[leader]!.publish('s', 'b', { ackPolicy: 'ALL' }, HOUR).then((ack) => {
      acked = true;
      return ack;
    });
    await clients[leader]!.publish('s', 'c');
    await broker.clock.advance(10 * MINUTE);
    expect({ acked, values: subscription.values }).toEqual({ acked: false, values: [] });
    await broker.clock.advance(11 * MINUTE);
    expect((await all).offset).toBe(1);
    await subscription.count(3);
    expect((await clients[leader]!.partition('s')).isr).toHaveLength(2);
    subscription.cancel();
  });

  it('delay ALL acks again for the lag time when a new leader takes over', async () => {
    const { broker, clients, leader, follower } = await threeBrokers(
      {},
      { settings: { ...SLOW.settings, 'clustering.replica.max.leader.timeout': '10m' } },
    );
    await broker.stopBroker(leader);
    for (let minute = 0; broker.leaderOf('s') === leader && minute < 60; minute++) await broker.clock.advance(MINUTE);
    expect(broker.leaderOf('s')).not.toBe(leader);
    let acked = false;
    const all = clients[follower]!.publish('s', 'a', { ackPolicy: 'ALL' }, HOUR).then(() => {
      acked = true;
    });
    // Now the old leader has been down for longer than the lag time, but the new leader counts from its election.
    await broker.clock.advance(18 * MINUTE);
    expect(acked).toBe(false);
    await broker.clock.advance(3 * MINUTE);
    await all;
  });

  it('include a replica again once it has caught up', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    await broker.stopBroker(follower);
    await clients[leader]!.publish('s', 'a', { ackPolicy: 'ALL' });
    await broker.startBroker(follower);
    await eventually(
      () => clients[leader]!.partition('s'),
      ({ isr }) => isr.length === 3,
    );
    await broker.moveLeader('s', 0, follower);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['a']);
  });

  it('below minIsr: LEADER is acknowledged but not delivered until there are enough', async () => {
    const { broker, clients, leader, follower } = await threeBrokers({ minIsr: { value: 3 } });
    const subscription = clients[leader]!.subscribe('s');
    await subscription.live;
    await broker.stopBroker(follower);
    await eventually(
      () => clients[leader]!.partition('s'),
      ({ isr }) => isr.length === 2,
    );
    for (const value of ['a', 'b']) await clients[leader]!.publish('s', value);
    expect(await clients[leader]!.unacknowledged(broker.clock, 's', 'c', { ackPolicy: 'ALL' })).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(await clients[leader]!.partition('s')).toMatchObject({ highWatermark: -1, newestOffset: 2 });
    expect(subscription.values).toEqual([]);
    await broker.startBroker(follower);
    await subscription.count(3);
    expect(subscription.values).toEqual(['a', 'b', 'c']);
    subscription.cancel();
  });

  it('never commit a message that fewer than minIsr have: replication factor -1 on one broker', async () => {
    const { clients, leader } = await threeBrokers({ minIsr: { value: 4 } });
    expect((await clients[leader]!.publish('s', 'a')).offset).toBe(0);
    expect((await clients[leader]!.partition('s')).highWatermark).toBe(-1);
  });
});
