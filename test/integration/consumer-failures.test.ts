import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Bench, type Member } from './consumer-harness.js';

const STREAMS = { clicks: 3, orders: 2, views: 1 };
const HOUR = 3_600_000;
/** Never polls on its own. */
const NEVER = { fetchAssignmentsInterval: () => 2 ** 31 - 1 };

/** Isolates a member without a leave request: its connections end and none of its calls reaches a broker. */
async function die(member: Member): Promise<void> {
  await member.client.close({ timeout: 0 });
}

/** Moves the brokers' clock past the timeout of the group in steps, and lets the active members poll after each step. */
async function expire(bench: Bench): Promise<void> {
  for (let step = 0; step < 8; step++) {
    await bench.broker.clock.advance(HOUR / 6);
    await bench.passes();
  }
}

/** Resolves when the group makes progress: it also processes messages that are published from now on. */
async function processMore(bench: Bench): Promise<void> {
  const { size } = bench.processed;
  await eventually('the group goes on', () => bench.processed.size > size + 20);
}

describe('Consumer under load, when members fail,', () => {
  it('processes every message at least once when a member ends without leaving', async () => {
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

  it('joins again after a pause longer than the timeout, and continues', async () => {
    await using bench = await Bench.start({}, STREAMS);
    bench.load(2);
    const a = await bench.member('a', NEVER);
    const b = await bench.member('b');
    await bench.balanced();
    await expire(bench);
    // An expired member detects this when others take its partitions, and joins again immediately.
    await eventually('it has its share again', () => a.partitions.length > 0);
    await bench.balanced([a, b]);
    await bench.settle();
    expect(a.error ?? b.error).toBeNull();
  });

  it('joins again when the only member has expired and its group no longer exists', async () => {
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

describe('Consumer under load, when brokers stop,', () => {
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

  it('reopens a partition without gap or duplicate when its subscription fails', async () => {
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
