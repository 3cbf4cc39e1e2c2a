import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Bench, type Member, until } from './consumer-harness.js';

const STREAMS = { clicks: 3, orders: 2, views: 1 };
const SLOW = { consumerTimeout: 60_000, coordinatorTimeout: 60_000 };
/** Polls often although the group's timeout is long, as the brokers' clock is moved instead. */
const OFTEN = { fetchAssignmentsInterval: () => 50 };
/** Never polls by itself. */
const NEVER = { fetchAssignmentsInterval: () => 2 ** 31 - 1 };

/** Cuts a member off without a word: its connections end and nothing it does reaches a broker any more. */
async function die(member: Member): Promise<void> {
  await member.client.close({ timeout: 0 });
}

/** Moves the brokers' clock in steps that leave the living time for their heartbeats. */
async function pass(bench: Bench, ms: number): Promise<void> {
  for (let step = 0; step < 8; step++) {
    await bench.broker.clock.advance(ms / 8);
    await sleep(120);
  }
}

describe('Consumer under load, where members die', () => {
  it('processes every message at least once when a member dies without leaving', async () => {
    await using bench = await Bench.start({ groups: SLOW }, STREAMS);
    bench.broker.faults.rejectNext('LeaveConsumerGroup', 'INTERNAL', 'the member is dead', 1_000);
    bench.load(2);
    const [a, b, c] = [await bench.member('a', OFTEN), await bench.member('b', OFTEN), await bench.member('c', OFTEN)];
    await bench.balanced();
    await die(b!);
    await pass(bench, 70_000);
    await bench.balanced([a!, c!]);
    await bench.settle();
    expect(a!.error ?? c!.error).toBeNull();
  });

  it('joins again after a pause longer than the timeout, and goes on', async () => {
    await using bench = await Bench.start({ groups: SLOW }, STREAMS);
    bench.load(2);
    const a = await bench.member('a', NEVER);
    const b = await bench.member('b', OFTEN);
    await bench.balanced();
    await pass(bench, 70_000);
    // Whoever was expired learns it when others take its partitions, and is a member again at once.
    await until('it has its share again', () => a.partitions.length > 0);
    await bench.balanced([a, b]);
    await bench.settle();
    expect(a.error ?? b.error).toBeNull();
  });

  it('joins again when the only member was expired and its group is gone', async () => {
    await using bench = await Bench.start({ groups: SLOW }, { alone: 2 });
    bench.load(2);
    const a = await bench.member('a', { fetchAssignmentsInterval: () => 300 });
    await until('it processes', () => a.processed.length > 10);
    const rebalanced = new Promise((resolve) => a.client.once('rebalance', resolve));
    await bench.broker.clock.advance(70_000);
    await rebalanced;
    await bench.balanced();
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(a.error).toBeNull();
  });
});

describe('Consumer under load, where brokers stop', () => {
  it('finds the new coordinator when the coordinator stops, in real time', async () => {
    await using bench = await Bench.start(
      { brokers: 3, groups: { consumerTimeout: 3_000, coordinatorTimeout: 600 } },
      STREAMS,
    );
    bench.load(5);
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    await bench.balanced();
    const { groups } = await bench.publisher.fetchMetadata({ streams: ['clicks'], groups: ['group'] });
    const coordinator = groups.get('group')!.coordinator!;
    await bench.broker.stopBroker(bench.broker.addresses.indexOf(coordinator.address));
    const c = await bench.member('c');
    await bench.balanced([a, b, c], 15_000);
    await bench.settle();
    const after = await bench.publisher.fetchMetadata({ streams: ['clicks'], groups: ['group'] });
    expect(after.groups.get('group')!.coordinator!.id).not.toBe(coordinator.id);
    expect(bench.repeated).toEqual([]);
    expect(bench.members.map(({ error }) => error)).toEqual([null, null, null]);
  }, 40_000);

  it('processes every message once while leaders of its partitions stop and come back', async () => {
    await using bench = await Bench.start(
      { brokers: 3, groups: { consumerTimeout: 2_000, coordinatorTimeout: 500 } },
      STREAMS,
    );
    bench.load(5);
    await bench.member('a');
    await bench.member('b');
    await bench.balanced();
    for (const stream of ['clicks', 'orders']) {
      const leader = bench.broker.leaderOf(stream, 0);
      await bench.broker.stopBroker(leader);
      await sleep(700);
      await bench.broker.startBroker(leader);
      await sleep(300);
    }
    await bench.balanced();
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(bench.members.map(({ error }) => error)).toEqual([null, null]);
  }, 40_000);

  it('reopens a partition whose subscription broke, without gap or duplicate', async () => {
    await using bench = await Bench.start({ groups: SLOW }, { broken: 2 });
    bench.load(2);
    const a = await bench.member('a', OFTEN);
    for (let cut = 0; cut < 3; cut++) {
      await sleep(100);
      bench.broker.faults.cutConnections();
    }
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(a.error).toBeNull();
  });
});
