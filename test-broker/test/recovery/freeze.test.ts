import { describe, expect, it } from 'vitest';
import { freezeClock } from '../broker-fixture.js';
import { type Answer, eventually, type Failure } from '../cluster/clients.js';
import { running, threeBrokers } from '../cluster/running.js';

/** Far longer than any test. */
const HOUR = 3_600_000;

/** No follower treats a frozen leader as lost. */
const PATIENT = {
  settings: { 'clustering.replica.max.leader.timeout': '1h', 'clustering.replica.max.lag.time': '1h' },
};

describe('a leader that is frozen while no broker takes over', () => {
  it('stores the messages that NATS kept in order when it resumes, and acknowledges them late', async () => {
    const { broker, clients, leader, follower } = await threeBrokers({}, PATIENT);
    await clients[leader]!.publish('s', 'before', { ackPolicy: 'ALL' });
    broker.faults.freeze(leader);
    const call = clients[follower]!.publishAsync();
    call.on('error', () => {});
    const acks: Answer[] = [];
    call.on('data', ({ ack }: Answer) => acks.push(ack));
    const values = ['a', 'b', 'c', 'd'];
    for (const [i, value] of values.entries())
      call.write({ stream: 's', value: Buffer.from(value), ackPolicy: i % 2 ? 'ALL' : 'LEADER', correlationId: value });
    // A later call on the same connection shows that they have arrived.
    await clients[follower]!.call('fetchMetadata', { streams: ['s'] });
    const given = clients[follower]!.publish('s', 'given up', {}, 0.25 * HOUR).catch(({ code }: Failure) => code);
    await clients[follower]!.call('fetchMetadata', { streams: ['s'] });
    await broker.clock.advance(0.5 * HOUR);
    expect(await given).toMatch(/DEADLINE_EXCEEDED|CANCELLED/);
    expect(broker.messages('s')).toHaveLength(1);
    expect(acks).toEqual([]);
    const thawed = BigInt(Math.floor(broker.clock.now())) * 1_000_000n;
    broker.faults.thaw(leader);
    await eventually(
      () => acks.length,
      (count) => count === 4,
    );
    expect(acks.map(({ correlationId }) => correlationId).toSorted()).toEqual(values);
    for (const { receptionTimestamp } of acks) expect(receptionTimestamp).toBeGreaterThanOrEqual(Number(thawed) - 1e9);
    const stored = broker.messages('s').map((message) => message.text());
    expect(stored.filter((value) => value !== 'given up')).toEqual(['before', ...values]);
    expect(stored).toContain('given up');
    call.end();
  });

  it('sends no responses, keeps its connections and subscriptions, and continues when it resumes', async () => {
    const { broker, client } = await running();
    await client.createStream('s');
    const subscription = client.subscribe('s');
    await subscription.live;
    const thaw = broker.faults.freeze(0);
    let answered = false;
    const asked = client.call('fetchMetadata', {}, HOUR).then(() => {
      answered = true;
    });
    const published = client.publish('s', 'late', {}, HOUR);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    thaw();
    thaw();
    await asked;
    expect((await published).offset).toBe(0);
    await subscription.count(1);
    subscription.cancel();
  });

  it('expires no member while it is the coordinator', async () => {
    const { broker, client } = await running({ groups: { consumerTimeout: HOUR } });
    await client.createStream('s');
    await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    broker.faults.freeze(0);
    const clock = freezeClock();
    await broker.clock.advance(10 * HOUR);
    broker.faults.thaw(0);
    const { groupMetadata } = await client.call('fetchMetadata', { groups: ['g'] });
    expect(groupMetadata[0].error).toBe('OK');
    clock.thaw();
    await broker.clock.advance(2 * HOUR);
    expect((await client.call('fetchMetadata', { groups: ['g'] })).groupMetadata[0].error).toBe('UNKNOWN_GROUP');
  });
});

describe('a leader that is frozen while another broker takes over', () => {
  it('stores and acknowledges messages that the new log does not have, and drops them when it learns of the new leader', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    await clients[leader]!.publish('s', 'before', { ackPolicy: 'ALL' });
    const subscription = clients[leader]!.subscribe('s');
    await subscription.count(1);
    broker.faults.freeze(leader);
    const call = clients[follower]!.publishAsync();
    call.on('error', () => {});
    const acks: Answer[] = [];
    call.on('data', ({ ack }: Answer) => ack && acks.push([ack.correlationId, ack.offset]));
    const send = (value: string, ackPolicy: string) =>
      call.write({ stream: 's', value: Buffer.from(value), ackPolicy, correlationId: value });
    send('lost 1', 'LEADER');
    send('lost 2', 'ALL');
    await clients[follower]!.call('fetchMetadata', { streams: ['s'] });
    expect(acks).toEqual([]);
    await eventually(
      () => broker.leaderOf('s'),
      (index) => index !== leader,
    );
    const successor = broker.leaderOf('s');
    const kept = await clients[successor]!.publish('s', 'kept', { ackPolicy: 'LEADER' });
    expect(kept.offset).toBe(1);
    // Keeps the resumed broker from learning that it no longer leads.
    broker.faults.delayMetadata(HOUR, { broker: leader });
    broker.faults.thaw(leader);
    const believed = await clients[leader]!.partition('s');
    expect(believed).toMatchObject({ leader: `broker-${leader}`, highWatermark: 0, newestOffset: 3 });
    await eventually(
      () => acks.length,
      (count) => count === 1,
    );
    // The broker acknowledges it with the offset of another message in the new log.
    expect(acks).toEqual([['lost 1', 1]]);
    broker.faults.delayMetadata(0, { broker: leader });
    await eventually(
      () =>
        clients[leader]!.partition('s').then(
          () => 'leads',
          ({ details }: Failure) => details,
        ),
      (details) => details === 'The request should be sent to partition leader',
    );
    await subscription.count(2);
    expect(subscription.values).toEqual(['before', 'kept']);
    expect(broker.messages('s').map((message) => message.text())).toEqual(['before', 'kept']);
    await eventually(
      async () => (await clients[successor]!.partition('s')).isr.length,
      (size) => size === 3,
    );
    expect((await clients[successor]!.publish('s', 'next', { ackPolicy: 'ALL' })).offset).toBe(2);
    expect(acks).toHaveLength(1);
    subscription.cancel();
    call.end();
  });

  it('is replaced as metadata leader and follows its successor', async () => {
    const { broker, clients } = await running({ brokers: 3 });
    broker.faults.freeze(0);
    await eventually(
      () =>
        // Calls that have reached the frozen leader are not forwarded to another broker: the caller has to retry.
        clients[1]!.createStream('s', { replicationFactor: 3 }, 200).then(
          () => true,
          ({ code }: Failure) => code === 'ALREADY_EXISTS',
        ),
      (created) => created,
    );
    broker.faults.thaw(0);
    await eventually(
      () => clients[0]!.createStream('s').catch(({ code }: Failure) => code),
      (code) => code === 'ALREADY_EXISTS',
    );
  });
});

describe('a metadata leader that is frozen', () => {
  /** A cluster that keeps its frozen leader until the clock advances. */
  async function frozen() {
    const { broker, clients } = await running({ brokers: 3, ...PATIENT });
    const clock = freezeClock();
    broker.faults.freeze(0);
    const create = (name: string, deadline: number | null) =>
      clients[1]!.call('createStream', { name, subject: name }, deadline).then(
        () => 'created',
        ({ code, details }: Failure) => `${code} ${details}`,
      );
    return { broker, clients, clock, create };
  }

  it('accepts forwarded operations when it resumes', async () => {
    const { broker, clients, clock, create } = await frozen();
    let answer = '';
    const created = create('s', HOUR).then((end) => {
      answer = end;
    });
    await clients[1]!.arrived();
    await broker.clock.advance(300);
    expect(answer).toBe('');
    broker.faults.thaw(0);
    clock.thaw();
    await created;
    expect(answer).toBe('created');
  });

  it('makes calls wait until their deadline, and 5 seconds without one', async () => {
    const { broker, clients, create } = await frozen();
    const limited = create('limited', HOUR);
    const unlimited = create('unlimited', null);
    await clients[1]!.arrived();
    await broker.clock.advance(4_999);
    await expect(Promise.race([unlimited, Promise.resolve('waits')])).resolves.toBe('waits');
    await broker.clock.advance(2);
    expect(await unlimited).toBe('INTERNAL context deadline exceeded');
    await expect(Promise.race([limited, Promise.resolve('waits')])).resolves.toBe('waits');
    await broker.clock.advance(HOUR);
    expect(await limited).toMatch(/^(DEADLINE_EXCEEDED|CANCELLED)/);
  });

  it('rejects the operations that it receives after another leader was elected', async () => {
    const { broker, clients, clock, create } = await frozen();
    const late = create('s', HOUR);
    await clients[1]!.arrived();
    // Its followers notice the loss, and then elect another one.
    await broker.clock.advance(2_000);
    clock.thaw();
    expect(await create('t', HOUR)).toBe('created');
    broker.faults.thaw(0);
    expect(await late).toBe('INTERNAL Failed to replicate partition: leadership lost while committing log');
  });

  it('handles no more operations when its process ends', async () => {
    const { broker, clients, create } = await frozen();
    const lost = create('s', null);
    await clients[1]!.arrived();
    await broker.stopBroker(0);
    await broker.startBroker(0, { recoveryTime: 0 });
    await broker.clock.advance(5_001);
    expect(await lost).toBe('INTERNAL context deadline exceeded');
  });
});

describe('freeze', () => {
  it('ends when the broker stops, with clear and with reset', async () => {
    const { broker, clients, client } = await running({ brokers: 2 });
    broker.faults.freeze(1);
    await broker.stopBroker(1);
    await broker.startBroker(1);
    await eventually(
      () =>
        clients[1]!.call('fetchMetadata').then(
          ({ brokers }) => brokers.length,
          () => 0,
        ),
      (count) => count === 2,
    );
    broker.faults.freeze(0);
    broker.faults.clear();
    await client.call('fetchMetadata');
    broker.faults.freeze(0);
    await broker.reset();
    await client.createStream('s');
    expect(() => broker.faults.freeze(2)).toThrow('the index of a broker, an integer from 0 to 1');
  });
});
