import { describe, expect, it } from 'vitest';
import { freezeClock } from '../broker-fixture.js';
import { type Answer, type ApiClient, eventually } from './clients.js';
import { running } from './running.js';

const SERVER_TIMES = { settings: { 'clustering.replica.max.leader.timeout': '15s' } };

function created(client: ApiClient, stream: string): Promise<boolean> {
  return client.createStream(stream).then(
    () => true,
    () => false,
  );
}

describe('the metadata leader', () => {
  it('is reported as lost at once by brokers that still follow it', async () => {
    const { broker, clients } = await running({ brokers: 3, ...SERVER_TIMES });
    freezeClock();
    await broker.stopBroker(0);
    await expect(clients[1]!.createStream('s')).rejects.toEqual({
      code: 'INTERNAL',
      details: 'nats: no responders available for request',
    });
  });

  it('is unknown until the next election: calls fail without a deadline, and wait with one', async () => {
    const { broker, clients } = await running({ brokers: 3, ...SERVER_TIMES });
    const clock = freezeClock();
    await broker.stopBroker(0);
    await broker.clock.advance(600);
    await expect(clients[1]!.call('createStream', { name: 's', subject: 's' }, null)).rejects.toEqual({
      code: 'INTERNAL',
      details: 'no known metadata leader',
    });
    const waiting = clients[1]!.createStream('s');
    await clients[1]!.arrived();
    await broker.clock.advance(500);
    clock.thaw();
    await waiting;
    await expect(clients[2]!.createStream('s')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('is replaced by a broker that has all operations', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    for (let i = 0; i < 20; i++) await clients[0]!.createStream(`s${i}`);
    await broker.stopBroker(0);
    await eventually(
      () => created(clients[2]!, 't'),
      (done) => done,
    );
    for (let i = 0; i < 20; i++) expect(broker.leaderOf(`s${i}`, 0)).toBe(i % 3);
    await expect(clients[1]!.createStream('s19')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('does not lead when it restarts before any broker has noticed its absence', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    await broker.stopBroker(0);
    const recovery = await broker.startBroker(0, { hold: 'not-leading' });
    await eventually(
      () => created(clients[1]!, 's'),
      (done) => done,
    );
    expect(recovery.phase).toBe('not-leading');
  });

  it('is also reported as lost when a call resumes a partition, with the text of Go', async () => {
    const { broker, clients } = await running({ brokers: 3, ...SERVER_TIMES });
    await clients[0]!.createStream('s');
    await clients[0]!.call('pauseStream', { name: 's' });
    const leader = clients[broker.leaderOf('s', 0)]!;
    for (const index of [0, 1, 2]) if (index !== broker.leaderOf('s', 0)) await broker.stopBroker(index);
    await broker.clock.advance(1_500);
    const cause = 'rpc error: code = Internal desc = no known metadata leader';
    const subscription = leader.subscribe('s', { resume: true });
    expect(await subscription.ended).toEqual({ code: 'INTERNAL', details: `Failed to resume stream: ${cause}` });
    const publishing = leader.publishAsync();
    const response = new Promise<Answer>((resolve) => publishing.once('data', resolve));
    publishing.write({ stream: 's', correlationId: 'c' });
    expect((await response).asyncError).toEqual({ code: 'INTERNAL', message: `failed to resume stream: ${cause}` });
    publishing.on('error', () => {}).cancel();
  });

  it('cannot be elected without a majority, but publishes still work', async () => {
    const { broker, clients } = await running({ brokers: 3, cursorsPartitions: 0 });
    for (const name of ['a', 'b', 'c']) await clients[0]!.createStream(name);
    await clients[0]!.createStream('r', { replicationFactor: 3 });
    const survivor = broker.leaderOf('r', 0);
    const client = clients[survivor]!;
    const own = ['a', 'b', 'c'].find((name) => broker.leaderOf(name, 0) === survivor)!;
    for (const index of [0, 1, 2]) if (index !== survivor) await broker.stopBroker(index);
    expect(await client.call('pauseStream', { name: 'unknown' }).catch((error: unknown) => error)).toEqual({
      code: 'NOT_FOUND',
      details: 'stream not found',
    });
    const lost = await client.createStream('t', {}, 5_000).catch((error: unknown) => error);
    expect(lost).toSatisfy(
      ({ code, details }) =>
        details === 'Failed to replicate partition: leadership lost while committing log' ||
        code === 'DEADLINE_EXCEEDED',
    );
    await expect(client.call('createStream', { name: 't', subject: 't' }, null)).rejects.toEqual({
      code: 'INTERNAL',
      details: 'no known metadata leader',
    });
    await expect(client.call('createStream', { name: 't', subject: 't' }, 100)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect((await client.publish(own, 'x', { ackPolicy: 'ALL' })).offset).toBe(0);
    expect((await client.publish('r', 'x')).offset).toBe(0);
    await expect(client.publish('r', 'x', { ackPolicy: 'ALL' }, 300)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    for (const index of [0, 1, 2]) await broker.startBroker(index);
    await eventually(
      () => created(client, 't'),
      (done) => done,
    );
  });

  it('steps down with its uncommitted operations when it loses its majority', async () => {
    const { broker, clients } = await running({ brokers: 3, cursorsPartitions: 0, ...SERVER_TIMES });
    const clock = freezeClock();
    broker.faults.partition(0, 1);
    broker.faults.partition(0, 2);
    const pending = clients[0]!.createStream('s').catch((error: unknown) => error);
    await clients[0]!.arrived();
    await broker.clock.advance(1_100);
    clock.thaw();
    expect(await pending).toEqual({
      code: 'INTERNAL',
      details: 'Failed to replicate partition: leadership lost while committing log',
    });
    await clients[1]!.createStream('s');
    broker.faults.heal();
    await eventually(
      () => clients[0]!.createStream('s').catch((error: unknown) => error),
      (error) => (error as { code: string }).code === 'ALREADY_EXISTS',
    );
  });
});

describe('FetchMetadata', () => {
  it('waits for a stopped broker until the deadline once, and then returns the others', async () => {
    const { broker, clients } = await running({ brokers: 3, cursorsPartitions: 0 });
    await broker.stopBroker(2);
    await expect(clients[0]!.call('fetchMetadata', {}, 150)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const { brokers } = await eventually(
      () => clients[0]!.call('fetchMetadata', {}, 1_000).catch(() => null),
      (answer) => answer !== null,
    );
    expect(brokers.map((each: { id: string }) => each.id)).toEqual(['broker-0', 'broker-1']);
  });

  it('lists the called broker first, with the load of each broker', async () => {
    const { broker, clients } = await running({ brokers: 2, cursorsPartitions: 0 });
    for (const name of ['a', 'b', 'c']) await clients[0]!.createStream(name);
    const { brokers } = await eventually(
      () => clients[1]!.call('fetchMetadata'),
      ({ streamMetadata }) => streamMetadata.length === 3,
    );
    expect(brokers).toMatchObject([
      { id: 'broker-1', partitionCount: 1, leaderCount: 1 },
      { id: 'broker-0', partitionCount: 2, leaderCount: 2 },
    ]);
    expect(brokers.map((each: { host: string; port: number }) => `${each.host}:${each.port}`)).toEqual(
      broker.addresses.toReversed(),
    );
  });
});
