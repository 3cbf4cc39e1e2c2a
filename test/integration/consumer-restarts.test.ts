import { connect, type LiftbridgeError } from 'liftbridge-client';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Bench, type Member, OFTEN } from './consumer-harness.js';

/** Only the brokers' clock reaches this timeout. */
const HOUR = 3_600_000;
const STREAMS = { clicks: 3, orders: 2 };

/** Records the errors of a member's polls. */
function polls(member: Member): string[] {
  const failures: string[] = [];
  member.client.on('retry', ({ operation, error }) => {
    if (operation === 'FetchConsumerGroupAssignments') failures.push((error as LiftbridgeError).message);
  });
  return failures;
}

async function coordinatorOf(bench: Bench): Promise<number> {
  const { groups } = await bench.publisher.fetchMetadata({ streams: ['clicks'], groups: ['group'] });
  return bench.broker.addresses.indexOf(groups.get('group')!.coordinator!.address);
}

/** Resolves when a later poll fails with this error. */
async function failing(failures: string[], text: string): Promise<void> {
  const seen = failures.length;
  await eventually(`a poll fails of "${text}"`, () => failures.slice(seen).some((failure) => failure.includes(text)));
}

describe('a consumer whose coordinator restarts', () => {
  it.each([1, 3])('survives every phase of the restart, with %i brokers', async (brokers) => {
    await using bench = await Bench.start(
      { brokers, groups: { consumerTimeout: HOUR, coordinatorTimeout: HOUR } },
      STREAMS,
    );
    bench.load(10);
    const [a, b] = [await bench.member('a', OFTEN), await bench.member('b', OFTEN)];
    await bench.balanced();
    await eventually('both members were told of the assignment', () => bench.rebalances === 3);
    const failures = polls(a);
    const coordinator = await coordinatorOf(bench);
    await bench.broker.stopBroker(coordinator);
    const recovery = await bench.broker.startBroker(coordinator, { hold: 'empty' });
    await failing(failures, 'consumer group does not exist');
    await recovery.release('replay');
    await recovery.release('not-leading');
    await recovery.release();
    await recovery.ready;
    await bench.settle();
    expect([a.error, b.error]).toEqual([null, null]);
    expect(bench.repeated).toEqual([]);
    expect(bench.rebalances).toBe(3);
  });

  it('does not end when the coordinator is killed and started repeatedly', async () => {
    await using bench = await Bench.start(
      { brokers: 3, groups: { consumerTimeout: HOUR, coordinatorTimeout: HOUR }, recoveryTime: 300 },
      STREAMS,
    );
    bench.load(10);
    const [a, b] = [await bench.member('a', OFTEN), await bench.member('b', OFTEN)];
    await bench.balanced();
    for (let round = 0; round < 3; round++) {
      const coordinator = await coordinatorOf(bench);
      await bench.broker.stopBroker(coordinator);
      const recovery = await bench.broker.startBroker(coordinator);
      await recovery.ready;
    }
    await bench.settle();
    expect([a.error, b.error]).toEqual([null, null]);
    expect(bench.repeated).toEqual([]);
  });
});

describe('a consumer whose stream was deleted and created again', () => {
  it('leaves, joins again and reads the new stream', async () => {
    await using bench = await Bench.start({}, { clicks: 2 });
    await bench.publisher.createStream('orders', 'orders');
    await bench.publisher.deleteStream('orders');
    await bench.publisher.createStream('orders', 'orders', { partitions: 2 });
    bench.streams.push('orders');
    const a = await bench.member('a');
    await bench.balanced();
    await bench.broker.stopBroker(0);
    const recovery = await bench.broker.startBroker(0, { loseRecreatedStreams: true });
    await recovery.ready;
    bench.load(10);
    await eventually('both streams are read again', () =>
      ['clicks', 'orders'].every((stream) => a.processed.some((text) => text.startsWith(stream))),
    );
    await bench.settle();
    expect(a.error).toBeNull();
    expect(bench.repeated).toEqual([]);
  });
});

describe('a consumer whose coordinator receives the join late', () => {
  it('resolves when the coordinator knows the member, and no member of the group ends', async () => {
    await using bench = await Bench.start({ brokers: 3, groups: { consumerTimeout: HOUR } }, STREAMS);
    bench.broker.faults.delayMetadata(HOUR);
    const client = await connect(bench.broker.addresses as string[]);
    const consumers = ['a', 'b', 'c', 'd', 'e', 'f'].map((groupId) => client.createConsumer(groupId, OFTEN));
    let denied = 0;
    client.on('retry', ({ operation }) => {
      if (operation === 'FetchConsumerGroupAssignments') denied++;
    });
    let resolved = 0;
    const subscribed = consumers.map(async (consumer) => {
      const messages = await consumer.subscribe(bench.streams, { timeout: HOUR });
      resolved++;
      return messages;
    });
    // Each broker coordinates a third of the groups, and the metadata leader knows its own groups immediately.
    await eventually('a third of the groups has begun', () => resolved === 2);
    await eventually('coordinators have denied members for a while', () => denied >= 4 * 8);
    bench.broker.faults.delayMetadata(0);
    await bench.broker.clock.advance(10);
    await Promise.all(subscribed);
    expect(consumers.map(({ assignments }) => [...assignments])).toEqual(
      consumers.map(() => [
        ['clicks', [0, 1, 2]],
        ['orders', [0, 1]],
      ]),
    );
    await client.close();
  });
});

describe('a consumer that joins while the last member leaves', () => {
  it('creates the group again', async () => {
    await using bench = await Bench.start({ groups: { consumerTimeout: HOUR } }, STREAMS);
    const first = await bench.member('a');
    bench.broker.faults.rejectNext('JoinConsumerGroup', 'NOT_FOUND', 'consumer group does not exist');
    const second = bench.member('b', OFTEN);
    await first.consumer.close();
    await second;
    await bench.balanced([await second]);
    expect(bench.broker.faults.pending).toBe(0);
  });
});

describe('a consumer that joins a group while the metadata leader restarts', () => {
  it('joins again when the leader did not know the group', async () => {
    await using bench = await Bench.start({ groups: { consumerTimeout: HOUR, coordinatorTimeout: HOUR } }, STREAMS);
    const first = await bench.member('a', OFTEN);
    bench.broker.faults.electUnaware(2);
    await bench.broker.stopBroker(0);
    await (await bench.broker.startBroker(0)).ready;
    const second = await bench.member('b', OFTEN);
    await bench.balanced();
    expect(bench.broker.faults.pending).toBe(0);
    expect([first.error, second.error]).toEqual([null, null]);
  });
});
