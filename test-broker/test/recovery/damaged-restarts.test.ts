import { describe, expect, it } from 'vitest';
import { eventually, type Failure } from '../cluster/clients.js';
import { known, running } from '../cluster/running.js';

/** Far longer than any test: only the brokers' clock reaches it. */
const HOUR = 3_600_000;

describe('a restart on a snapshot without later operations', () => {
  it('leaves existing partitions and groups inactive until they are paused or the broker restarts', async () => {
    const { broker, client } = await running();
    for (const name of ['s', 't']) await client.createStream(name);
    await client.publish('s', 'old');
    await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    await broker.stopBroker(0, { graceful: true });
    const recovery = await broker.startBroker(0, { silentPartitions: true });
    expect(recovery.phase).toBe('ready');
    await eventually(
      () => client.call('fetchMetadata', { streams: ['s'] }).catch(() => null),
      (answer) => answer?.streamMetadata[0].partitions[0].leader === 'broker-0',
    );
    const refused = { code: 'FAILED_PRECONDITION', details: 'The request should be sent to partition leader' };
    await expect(client.partition('s')).rejects.toEqual(refused);
    expect(await client.unacknowledged(broker.clock, 's', 'lost')).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const member = { groupId: 'g', consumerId: 'c', epoch: 0 };
    await expect(client.call('fetchConsumerGroupAssignments', member)).rejects.toMatchObject({
      details: 'consumer not active for server (no timer)',
    });
    const subscription = client.subscribe('s');
    await subscription.count(1);
    await client.createStream('new');
    expect((await client.publish('new', 'x')).offset).toBe(0);
    await client.call('pauseStream', { name: 's' });
    expect((await client.publish('s', 'healed')).offset).toBe(1);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['old', 'healed']);
    await expect(client.partition('t')).rejects.toEqual(refused);
    await broker.stopBroker(0);
    await broker.startBroker(0, { recoveryTime: 0 });
    await client.leads('t');
    expect((await client.publish('t', 'healed')).offset).toBe(0);
    await client.call('fetchConsumerGroupAssignments', member);
  });

  it('has no phases that a test can hold', async () => {
    const { broker } = await running();
    await expect(broker.startBroker(0, { silentPartitions: true, hold: 'empty' })).rejects.toThrow(
      'option hold contradicts silentPartitions',
    );
    await expect(broker.startBroker(0, { silentPartitions: 'yes' as never })).rejects.toThrow('to be true or false');
  });
});

describe('a restart that replays an old deletion', () => {
  it('removes the recreated stream from the groups, only on the restarted broker', async () => {
    const { broker, clients } = await running({ brokers: 3, groups: { consumerTimeout: HOUR } });
    const [leader, coordinator] = clients as [(typeof clients)[0], (typeof clients)[0]];
    await leader.createStream('s');
    await leader.call('deleteStream', { name: 's' });
    for (const name of ['s', 't']) await leader.createStream(name);
    await known('t', clients);
    await leader.call('joinConsumerGroup', { groupId: 'other', consumerId: 'c', streams: ['t'] });
    const joined = await leader.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s', 't'] });
    expect(joined).toMatchObject({ coordinator: 'broker-1', epoch: 0 });
    const epochOn = async (client: typeof leader) =>
      (await client.call('fetchMetadata', { groups: ['g'] })).groupMetadata[0].epoch;
    await eventually(
      () => coordinator.call('fetchMetadata', { groups: ['g'] }),
      (a) => a.groupMetadata[0].error === 'OK',
    );
    await broker.stopBroker(1);
    await broker.startBroker(1, { recoveryTime: 0, loseRecreatedStreams: true });
    const epoch = await eventually(
      () => epochOn(coordinator).catch(() => 0),
      (found) => found > 0,
    );
    expect(await epochOn(leader)).toBe(0);
    const fetch = (held: number) =>
      coordinator.call('fetchConsumerGroupAssignments', { groupId: 'g', consumerId: 'c', epoch: held });
    await expect(fetch(0)).rejects.toMatchObject({
      details: 'client-provided group epoch differs from broker group epoch',
    } satisfies Partial<Failure>);
    expect((await fetch(epoch)).assignments).toEqual([{ stream: 't', partitions: [0] }]);
  });
});
