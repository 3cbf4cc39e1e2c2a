import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { type Answer, type ApiClient, eventually, type Failure } from '../cluster/clients.js';
import { known, running, threeBrokers } from '../cluster/running.js';

/** Far longer than any test. */
const HOUR = 3_600_000;

const STREAM_AND_GROUP = { streams: ['s'], groups: ['g'] };

/** Resolves when a client that lost its connection is served again. It uses a call that works in every phase. */
async function reconnected(client: ApiClient): Promise<void> {
  await eventually(
    () => client.call('fetchMetadata', STREAM_AND_GROUP).catch(() => null),
    (answer) => answer !== null,
  );
}

/** A stopped single broker with a stream, a group and a cursor. */
async function stopped(options: object = {}) {
  const one = await running({ cursorsPartitions: 1, ...options });
  const { broker, client } = one;
  await client.createStream('s');
  for (const value of ['a', 'b']) await client.publish('s', value);
  await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
  await client.call('setCursor', { stream: 's', cursorId: 'k', offset: 1 });
  await broker.stopBroker(0, { graceful: true });
  return one;
}

const fetch = (client: ApiClient, epoch = 0) =>
  client.call('fetchConsumerGroupAssignments', { groupId: 'g', consumerId: 'c', epoch });

describe('a broker that recovers and has no metadata yet', () => {
  it('reports that there is no stream, no group and no cursors stream', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    expect(recovery.phase).toBe('empty');
    await reconnected(client);
    const all = await client.call('fetchMetadata');
    expect(all.streamMetadata).toEqual([]);
    expect(all.brokers.map(({ id }: Answer) => id)).toEqual(['broker-0']);
    const named = await client.call('fetchMetadata', STREAM_AND_GROUP);
    expect(named.streamMetadata[0].error).toBe('UNKNOWN_STREAM');
    expect(named.groupMetadata[0].error).toBe('UNKNOWN_GROUP');
    await expect(client.partition('s')).rejects.toEqual({ code: 'NOT_FOUND', details: 'partition not found' });
    expect(await client.subscribe('s').ended).toEqual({ code: 'NOT_FOUND', details: 'No such partition' });
    await expect(client.publish('s', 'x')).rejects.toEqual({ code: 'NOT_FOUND', details: 'no such stream: s' });
    const missing = { code: 'INTERNAL', details: 'Cursors stream does not exist' };
    await expect(client.call('fetchCursor', { stream: 's', cursorId: 'k' })).rejects.toEqual(missing);
    await expect(client.call('setCursor', { stream: 's', cursorId: 'k', offset: 2 })).rejects.toEqual(missing);
    const groupless = { code: 'NOT_FOUND', details: 'consumer group does not exist' };
    await expect(fetch(client)).rejects.toEqual(groupless);
    for (const method of ['pauseStream', 'setStreamReadonly'])
      await expect(client.call(method, { name: 's' })).rejects.toEqual({
        code: 'NOT_FOUND',
        details: 'stream not found',
      });
  });

  it('keeps a PublishAsync stream open and rejects each message', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    await reconnected(client);
    const call = client.publishAsync();
    call.on('error', () => {});
    const answers: Answer[] = [];
    call.on('data', (answer: Answer) => answers.push(answer));
    call.write({ stream: 's', value: Buffer.from('x'), correlationId: 'first' });
    await eventually(
      () => answers.length,
      (count) => count === 1,
    );
    expect(answers[0]).toMatchObject({
      correlationId: 'first',
      asyncError: { code: 'NOT_FOUND', message: 'no such stream: s' },
    });
    await recovery.release();
    call.write({ stream: 's', value: Buffer.from('x'), correlationId: 'second' });
    await eventually(
      () => answers.length,
      (count) => count === 2,
    );
    expect(answers[1]).toMatchObject({ correlationId: 'second', ack: { offset: 2 } });
    call.end();
  });

  it('has no metadata leader: calls without a deadline fail, and calls with one wait', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    await reconnected(client);
    const leaderless = { code: 'INTERNAL', details: 'no known metadata leader' };
    await expect(client.call('createStream', { name: 't', subject: 't' }, null)).rejects.toEqual(leaderless);
    const group = { groupId: 'g', consumerId: 'c', streams: ['s'] };
    await expect(client.call('joinConsumerGroup', group, null)).rejects.toEqual(leaderless);
    const late = client
      .call('deleteStream', { name: 's' }, HOUR)
      .catch(({ code, details }: Failure) => [code, details]);
    await client.arrived();
    await broker.clock.advance(HOUR);
    expect([
      ['DEADLINE_EXCEEDED', 'context deadline exceeded'],
      ['INTERNAL', 'no known metadata leader'],
    ]).toContainEqual(await late);
    const created = client.createStream('t');
    const joined = client.call('joinConsumerGroup', group).catch((error: unknown) => error);
    await recovery.release();
    await created;
    expect(await joined).toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'consumer is already a member of the consumer group',
    });
    expect(broker.messages('s')).toHaveLength(2);
  });
});

describe('a broker that reports a leader which does not lead yet', () => {
  it('returns the current metadata and rejects FetchPartitionMetadata', async () => {
    const { broker, client } = await stopped();
    await broker.startBroker(0, { hold: 'not-leading' });
    await reconnected(client);
    const { streamMetadata, groupMetadata } = await client.call('fetchMetadata', STREAM_AND_GROUP);
    expect(streamMetadata[0].partitions[0]).toMatchObject({ leader: 'broker-0', highWatermark: 1, newestOffset: 1 });
    expect(groupMetadata[0]).toMatchObject({ error: 'OK', coordinator: 'broker-0' });
    await expect(client.partition('s')).rejects.toEqual({
      code: 'FAILED_PRECONDITION',
      details: 'The request should be sent to partition leader',
    });
    await expect(fetch(client)).rejects.toEqual({
      code: 'UNKNOWN',
      details: 'consumer not active for server (no timer)',
    });
    expect((await client.call('fetchCursor', { stream: 's', cursorId: 'k' })).offset).toBe(1);
  });

  it('accepts a subscription, delivers committed messages and continues once it leads', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await reconnected(client);
    const subscription = client.subscribe('s');
    await subscription.count(2);
    await recovery.release();
    await client.publish('s', 'c');
    await subscription.count(3);
    expect(subscription.values).toEqual(['a', 'b', 'c']);
    subscription.cancel();
  });

  it('accepts messages, but does not acknowledge them and loses them', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await reconnected(client);
    const calls = [
      client.publish('s', 'lost', {}, HOUR),
      client.call('publishToSubject', { subject: 's', value: Buffer.from('lost') }, HOUR),
      client.call('setCursor', { stream: 's', cursorId: 'k', offset: 2 }, HOUR),
    ].map((call) => call.catch(({ code }: Failure) => code));
    await client.call('fetchMetadata');
    await broker.clock.advance(HOUR);
    expect(await Promise.all(calls)).toEqual(Array(3).fill('DEADLINE_EXCEEDED'));
    // On the same connection: what was sent before has arrived.
    await client.call('fetchMetadata', STREAM_AND_GROUP);
    await recovery.release();
    expect((await client.publish('s', 'next')).offset).toBe(2);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['a', 'b', 'next']);
  });

  it('delays operations until it leads', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await reconnected(client);
    const again = client.createStream('s').catch((error: unknown) => error);
    const paused = client.call('pauseStream', { name: 's' });
    await recovery.release();
    expect(await again).toEqual({ code: 'ALREADY_EXISTS', details: 'stream already exists' });
    await paused;
  });

  it('restarts the timeouts of its group members when it is ready', async () => {
    const { broker, client } = await stopped({ groups: { consumerTimeout: 1_000_000 } });
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await broker.clock.advance(5_000_000);
    await recovery.release();
    await reconnected(client);
    expect((await fetch(client)).assignments[0].partitions).toEqual([0]);
    await broker.clock.advance(1_000_001);
    await expect(fetch(client)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('the replay of a restarted broker', () => {
  it('shows deleted streams until it ends', async () => {
    const { broker, client } = await running({ cursorsPartitions: 0 });
    await client.createStream('s');
    await client.createStream('kept');
    await client.call('deleteStream', { name: 's' });
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'replay' });
    await reconnected(client);
    const names = async () => (await client.call('fetchMetadata')).streamMetadata.map(({ name }: Answer) => name);
    expect(await names()).toEqual(['s', 'kept']);
    await expect(client.partition('kept')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await recovery.release('not-leading');
    expect(await names()).toEqual(['kept']);
  });

  it('shows the leader from before a failover, and acts as that leader for every client', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    await clients[leader]!.publish('s', 'before', { ackPolicy: 'ALL' });
    await broker.stopBroker(leader, { graceful: true });
    await eventually(
      () => broker.leaderOf('s'),
      (index) => index !== leader,
    );
    const recovery = await broker.startBroker(leader, { hold: 'replay' });
    const client = clients[leader]!;
    await reconnected(client);
    const shown = (await client.call('fetchMetadata', { streams: ['s'] })).streamMetadata[0].partitions[0];
    expect(shown.leader).toBe(`broker-${leader}`);
    expect((await client.partition('s')).newestOffset).toBe(0);
    const subscription = client.subscribe('s');
    await subscription.count(1);
    subscription.cancel();
    await recovery.release();
    const now = (await client.call('fetchMetadata', { streams: ['s'] })).streamMetadata[0].partitions[0];
    expect(now.leader).toBe(`broker-${broker.leaderOf('s')}`);
    expect((await clients[follower]!.publish('s', 'after', { ackPolicy: 'ALL' })).offset).toBe(1);
  });

  it('restores streams one after the other', async () => {
    const { broker, client } = await running();
    for (let i = 0; i < 16; i++) await client.createStream(`s${i}`);
    await broker.stopBroker(0);
    const started = broker.startBroker(0, { recoveryTime: 1_000_000, hold: 'empty' });
    // Connections are refused for the first tenth of the time.
    await broker.clock.advance(100_000);
    const recovery = await started;
    await reconnected(client);
    const counts = new Set<number>();
    void recovery.release();
    await eventually(
      async () => {
        counts.add((await client.call('fetchMetadata')).streamMetadata.length);
        await broker.clock.advance(20_000);
        return recovery.phase;
      },
      (phase) => phase === 'ready',
    );
    expect([...counts].length).toBeGreaterThan(3);
    expect([...counts]).toEqual([...counts].toSorted((a, b) => a - b));
  });
});

describe('a follower that recovers in a cluster', () => {
  it('forwards operations while it has no metadata itself', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    await clients[0]!.createStream('s', { replicationFactor: 3 });
    await clients[0]!.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    await broker.stopBroker(2);
    const recovery = await broker.startBroker(2, { hold: 'empty' });
    const client = clients[2]!;
    await reconnected(client);
    await client.createStream('t', { replicationFactor: 3 });
    await expect(
      client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] }),
    ).rejects.toMatchObject({ details: 'consumer is already a member of the consumer group' });
    expect(await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'd', streams: ['s'] })).toMatchObject({
      coordinator: 'broker-0',
    });
    await expect(client.publish('t', 'x')).rejects.toMatchObject({ details: 'no such stream: t' });
    const { brokers } = await client.call('fetchMetadata');
    expect(brokers).toHaveLength(3);
    await recovery.release();
    expect((await client.publish('t', 'x', { ackPolicy: 'ALL' })).offset).toBe(0);
  });

  it('is removed from the in-sync replicas when its recovery takes long, and added again', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    const isr = async () => (await clients[leader]!.partition('s')).isr.length;
    await broker.stopBroker(follower);
    const recovery = await broker.startBroker(follower, { hold: 'not-leading' });
    await eventually(isr, (size) => size === 2);
    await recovery.release();
    await eventually(isr, (size) => size === 3);
  });

  it('rejects forwarded operations while it is the metadata leader and recovers', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    await clients[0]!.createStream('s', { replicationFactor: 3 });
    for (const index of [0, 1, 2]) await broker.stopBroker(index);
    const recoveries = await Promise.all([0, 1, 2].map((index) => broker.startBroker(index, { hold: 'not-leading' })));
    for (const client of clients) await reconnected(client);
    const answers = clients.map((client) => client.createStream('s').catch((error: unknown) => error));
    const refused = { code: 'INTERNAL', details: 'nats: no responders available for request' };
    // The metadata leader itself lets its own call wait.
    expect(await Promise.race(answers)).toEqual(refused);
    for (const recovery of recoveries) await recovery.release();
    const outcomes = await Promise.all(answers);
    expect(outcomes.filter((outcome) => JSON.stringify(outcome) === JSON.stringify(refused))).toHaveLength(2);
    expect(outcomes).toContainEqual({ code: 'ALREADY_EXISTS', details: 'stream already exists' });
  });
});

describe('a broker that is started on the data of an earlier process', () => {
  it.each([1, 3])('recovers in phases and loses nothing (brokers: %i)', async (brokers) => {
    const dataDir = temporaryDirectory();
    const first = await running({ brokers, dataDir });
    await first.client.createStream('s', { replicationFactor: brokers });
    await first.client.publish('s', 'a', { ackPolicy: 'ALL' });
    await first.client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    await first.broker.close();
    const options = { cursorsPartitions: 1, groups: { consumerTimeout: 3_600_000 } };
    const { broker, client } = await running({ brokers, dataDir, recoveryTime: 600_000, ...options });
    expect((await client.call('fetchMetadata')).streamMetadata).toEqual([]);
    expect((await client.call('fetchMetadata', STREAM_AND_GROUP)).groupMetadata[0].error).toBe('UNKNOWN_GROUP');
    await broker.clock.advance(600_000);
    await broker.ready();
    expect((await client.call('fetchMetadata', STREAM_AND_GROUP)).groupMetadata[0].error).toBe('OK');
    expect((await client.publish('s', 'b', { ackPolicy: 'ALL' })).offset).toBe(1);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['a', 'b']);
    await known('__cursors', [client]);
  });
});

describe('startBroker', () => {
  it('rejects unknown and invalid options', async () => {
    const { broker } = await running();
    await expect(broker.startBroker(0, { hold: 'ready' as 'empty' })).rejects.toThrow(
      'expected hold to be one of empty, replay, not-leading',
    );
    await expect(broker.startBroker(0, { recoveryTime: -1 })).rejects.toThrow('expected recoveryTime to be');
  });

  it('rejects when the broker is stopped before it reaches the phase', async () => {
    const { broker } = await running({ brokers: 3 });
    for (const index of [0, 1, 2]) await broker.stopBroker(index);
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    const released = recovery.release();
    const ready = broker.ready();
    await broker.stopBroker(0);
    for (const waiting of [released, recovery.ready, ready])
      await expect(waiting).rejects.toThrow('broker broker-0 was stopped before it was ready');
    const started = broker.startBroker(0, { hold: 'replay' });
    await broker.stopBroker(0);
    await expect(started).rejects.toThrow('stopped before it');
  });

  it('refuses connections for the first part of the recovery time', async () => {
    const { broker, client } = await stopped();
    const started = broker.startBroker(0, { recoveryTime: 600_000 });
    await expect(client.call('fetchMetadata')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await broker.clock.advance(60_000);
    const recovery = await started;
    expect(recovery.phase).toBe('empty');
    await reconnected(client);
    await broker.clock.advance(540_000);
    await recovery.ready;
    expect((await client.publish('s', 'c')).offset).toBe(2);
  });

  it('ends the recovery at once on reset', async () => {
    const { broker, client } = await stopped();
    const recovery = await broker.startBroker(0, { hold: 'empty' });
    await broker.reset();
    expect(recovery.phase).toBe('ready');
    await reconnected(client);
    await client.createStream('s');
    expect((await client.publish('s', 'first')).offset).toBe(0);
  });
});
