import { describe, expect, it } from 'vitest';
import { eventually } from './clients.js';
import { threeBrokers } from './running.js';

describe('a partition whose leader is stopped', () => {
  it('gets another in-sync replica as its leader', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    await clients[leader]!.publish('s', 'before', { ackPolicy: 'ALL' });
    const subscription = clients[leader]!.subscribe('s');
    await subscription.count(1);
    await broker.stopBroker(leader);
    expect((await subscription.ended).code).toBe('UNAVAILABLE');
    const successor = await eventually(
      () => broker.leaderOf('s', 0),
      (index) => index !== leader,
    );
    await clients[successor]!.leads('s');
    expect((await clients[follower]!.publish('s', 'after')).offset).toBe(1);
    const resumed = clients[successor]!.subscribe('s');
    await resumed.count(2);
    expect(resumed.values).toEqual(['before', 'after']);
    resumed.cancel();
  });

  it('loses messages published until then, with DEADLINE_EXCEEDED', async () => {
    const { broker, clients, leader, follower } = await threeBrokers(
      {},
      { settings: { 'clustering.replica.max.leader.timeout': '3h' } },
    );
    await broker.stopBroker(leader);
    expect(await clients[follower]!.unacknowledged(broker.clock, 's', 'lost')).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(broker.leaderOf('s', 0)).toBe(leader);
    for (let i = 0; i < 2; i++) await broker.clock.advance(3 * 3_600_000);
    expect(broker.leaderOf('s', 0)).not.toBe(leader);
    expect(broker.messages('s')).toEqual([]);
  });

  it('keeps its stopped leader when no other broker has a replica', async () => {
    const { broker, clients, leader, follower } = await threeBrokers({ replicationFactor: 1 });
    await clients[leader]!.publish('s', 'kept');
    await broker.stopBroker(leader);
    await broker.clock.advance(1_000);
    expect(broker.leaderOf('s', 0)).toBe(leader);
    await broker.startBroker(leader);
    await clients[leader]!.leads('s');
    expect((await clients[follower]!.publish('s', 'next')).offset).toBe(1);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['kept', 'next']);
  });

  it('drops messages that were never replicated when the old leader restarts, and assigns their offsets again', async () => {
    const { broker, clients, leader, follower, other } = await threeBrokers();
    await clients[leader]!.publish('s', 'replicated', { ackPolicy: 'ALL' });
    broker.faults.partition(leader, follower);
    broker.faults.partition(leader, other);
    expect((await clients[leader]!.publish('s', 'alone')).offset).toBe(1);
    await broker.stopBroker(leader);
    broker.faults.heal();
    const successor = await eventually(
      () => broker.leaderOf('s', 0),
      (index) => index !== leader,
    );
    await clients[successor]!.leads('s');
    expect((await clients[successor]!.publish('s', 'instead')).offset).toBe(1);
    await broker.startBroker(leader);
    await broker.ready();
    await eventually(
      () => clients[successor]!.partition('s'),
      ({ isr }) => isr.length === 3,
    );
    expect(await clients[leader]!.subscribe('s').ended).toMatchObject({ details: 'Server not partition leader' });
    await broker.moveLeader('s', 0, leader);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['replicated', 'instead']);
  });
});

describe('a leader that the others cannot reach', () => {
  it('keeps storing messages, and drops them once it learns of the new leader', async () => {
    const { broker, clients, leader, follower, other } = await threeBrokers();
    await clients[leader]!.publish('s', 'common', { ackPolicy: 'ALL' });
    const subscription = clients[leader]!.subscribe('s');
    await subscription.count(1);
    broker.faults.partition(leader, follower);
    broker.faults.partition(leader, other);
    await clients[leader]!.publish('s', 'only here');
    const successor = await eventually(
      () => broker.leaderOf('s', 0),
      (index) => index !== leader,
    );
    await clients[successor]!.leads('s');
    const acks = [await clients[successor]!.publish('s', 'both'), await clients[successor]!.publish('s', 'both again')];
    expect(acks.map(({ stream }) => stream)).toEqual(['s', 's']);
    expect((await clients[leader]!.partition('s')).newestOffset).toBe(3);
    broker.faults.heal();
    await subscription.count(3);
    expect(subscription.values).toEqual(['common', 'both', 'both again']);
    expect(subscription.offsets).toEqual([0, 1, 2]);
    await expect(clients[leader]!.partition('s')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    subscription.cancel();
  });
});

describe('moveLeader', () => {
  it('rejects when the cluster has no majority', async () => {
    const { broker, leader, follower, other } = await threeBrokers();
    await broker.stopBroker(other);
    broker.faults.partition(leader, follower);
    await expect(broker.moveLeader('s', 0, follower)).rejects.toThrow(/leader/);
    expect(broker.leaderOf('s')).toBe(leader);
  });

  it('keeps subscriptions on the old leader open, and they deliver the messages of the new leader', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    const subscription = clients[leader]!.subscribe('s');
    await subscription.live;
    await clients[leader]!.publish('s', 'a', { ackPolicy: 'ALL' });
    await broker.moveLeader('s', 0, follower);
    expect(broker.leaderOf('s', 0)).toBe(follower);
    await clients[leader]!.publish('s', 'b', { ackPolicy: 'ALL' });
    await subscription.count(2);
    expect(subscription.values).toEqual(['a', 'b']);
    subscription.cancel();
  });

  it('neither loses nor duplicates messages that are published meanwhile', async () => {
    const { broker, clients, leader, follower, other } = await threeBrokers();
    const acks: number[] = [];
    const publishing = (async () => {
      for (let i = 0; i < 200; i++) acks.push((await clients[other]!.publish('s', String(i))).offset);
    })();
    for (const to of [follower, other, leader, follower]) await broker.moveLeader('s', 0, to);
    await publishing;
    expect(acks).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(broker.messages('s').map((message) => message.text())).toEqual(acks.map(String));
  });

  it('rejects a broker without a replica, a stopped broker, and an unknown partition', async () => {
    const { broker, leader, follower } = await threeBrokers({ replicationFactor: 2 });
    const isr = new Set([leader]);
    const outside = [0, 1, 2].filter((index) => !isr.has(index));
    const results = await Promise.allSettled(outside.map((to) => broker.moveLeader('s', 0, to)));
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(1);
    await expect(broker.moveLeader('s', 9, follower)).rejects.toThrow('stream "s" has no partition 9');
    await expect(broker.moveLeader('x', 0, follower)).rejects.toThrow('stream "x" does not exist');
    await expect(broker.moveLeader('s', 0, 7)).rejects.toThrow('expected broker to be an index from 0 to 2');
  });
});
