import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Bench, type Member } from './consumer-harness.js';

const STREAMS = { clicks: 3, orders: 2, views: 1 };
const HOUR = 3_600_000;
/** Never polls by itself. */
const NEVER = { fetchAssignmentsInterval: () => 2 ** 31 - 1 };

/** Cuts a member off without a word: its connections end and nothing it does reaches a broker any more. */
async function die(member: Member): Promise<void> {
  await member.client.close({ timeout: 0 });
}

/** Moves the brokers' clock over the timeout of the group, in steps after which the living have polled. */
async function expire(bench: Bench): Promise<void> {
  for (let step = 0; step < 8; step++) {
    await bench.broker.clock.advance(HOUR / 6);
    await bench.passes();
  }
}

/** Resolves when the group goes on: messages that are published from now on are processed as well. */
async function processMore(bench: Bench): Promise<void> {
  const { size } = bench.processed;
  await eventually('the group goes on', () => bench.processed.size > size + 20);
}

describe('Consumer under load, where members die', () => {
  it('processes every message at least once when a member dies without leaving', async () => {
    await using bench = await Bench.start({}, STREAMS);
    bench.broker.faults.rejectNext('LeaveConsumerGroup', 'INTERNAL', 'the member is dead', 1_000);
    bench.load(2);
    const [a, b, c] = [await bench.member('a'), await bench.member('b'), await bench.member('c')];
    await bench.balanced();
    await die(b!);
    await expire(bench);
    await bench.balanced([a!, c!]);
    await bench.settle();
    expect(a!.error ?? c!.error).toBeNull();
  });

  it('joins again after a pause longer than the timeout, and goes on', async () => {
    await using bench = await Bench.start({}, STREAMS);
    bench.load(2);
    const a = await bench.member('a', NEVER);
    const b = await bench.member('b');
    await bench.balanced();
    await expire(bench);
    // Whoever was expired learns it when others take its partitions, and is a member again at once.
    await eventually('it has its share again', () => a.partitions.length > 0);
    await bench.balanced([a, b]);
    await bench.settle();
    expect(a.error ?? b.error).toBeNull();
  });

  it('joins again when the only member was expired and its group is gone', async () => {
    await using bench = await Bench.start({}, { alone: 2 });
    bench.load(2);
    const a = await bench.member('a', { fetchAssignmentsInterval: () => 300 });
    await eventually('it processes', () => a.processed.length > 10);
    const rebalanced = new Promise((resolve) => a.client.once('rebalance', resolve));
    await bench.broker.clock.advance(2 * HOUR);
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
      { brokers: 3, groups: { consumerTimeout: HOUR, coordinatorTimeout: 600 } },
      STREAMS,
    );
    bench.load(5);
    const [a, b] = [await bench.member('a'), await bench.member('b')];
    await bench.balanced();
    const { groups } = await bench.publisher.fetchMetadata({ streams: ['clicks'], groups: ['group'] });
    const coordinator = groups.get('group')!.coordinator!;
    await bench.broker.stopBroker(bench.broker.addresses.indexOf(coordinator.address));
    const c = await bench.member('c');
    await bench.balanced([a, b, c]);
    await bench.settle();
    await eventually('metadata names another coordinator', async () => {
      const after = await bench.publisher.fetchMetadata({ streams: ['clicks'], groups: ['group'] });
      return after.groups.get('group')!.coordinator!.id !== coordinator.id;
    });
    expect(bench.repeated).toEqual([]);
    expect(bench.members.map(({ error }) => error)).toEqual([null, null, null]);
  });

  it('processes every message once while leaders of its partitions stop and come back', async () => {
    await using bench = await Bench.start(
      { brokers: 3, groups: { consumerTimeout: HOUR, coordinatorTimeout: 500 } },
      STREAMS,
    );
    bench.load(5);
    await bench.member('a');
    await bench.member('b');
    await bench.balanced();
    for (const stream of ['clicks', 'orders']) {
      const leader = bench.broker.leaderOf(stream, 0);
      await bench.broker.stopBroker(leader);
      await eventually('another broker leads', () => bench.broker.leaderOf(stream, 0) !== leader);
      await processMore(bench);
      await bench.broker.startBroker(leader);
      await processMore(bench);
    }
    await bench.balanced();
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(bench.members.map(({ error }) => error)).toEqual([null, null]);
  });

  it('reopens a partition whose subscription broke, without gap or duplicate', async () => {
    await using bench = await Bench.start({}, { broken: 2 });
    bench.load(2);
    const a = await bench.member('a');
    for (let cut = 0; cut < 3; cut++) {
      await processMore(bench);
      bench.broker.faults.cutConnections();
    }
    await bench.settle();
    expect(bench.repeated).toEqual([]);
    expect(a.error).toBeNull();
  });
});
