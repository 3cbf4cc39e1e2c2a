import { connect } from 'nats';
import { describe, expect, it } from 'vitest';
import { freezeClock } from '../broker-fixture.js';
import { type Answer, eventually } from '../cluster/clients.js';
import { running, threeBrokers } from '../cluster/running.js';

const OVERFLOW = 'nats: outbound buffer limit exceeded';
const NO_PUBLISH = { code: 'UNKNOWN', details: `failed to publish to NATS: ${OVERFLOW}` };

describe('a broker without NATS', () => {
  it('rejects publishes and serves every other call', async () => {
    const { broker, client } = await running({
      cursorsPartitions: 1,
      settings: { 'metadata.cache.max.age': '2m' },
    });
    await client.createStream('s');
    await client.publish('s', 'before');
    const cursor = { stream: 's', cursorId: 'k' };
    await client.call('setCursor', { ...cursor, offset: 0 });
    const { epoch } = await client.call('joinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s'] });
    await client.call('fetchMetadata');
    const subscription = client.subscribe('s');
    await subscription.count(1);
    const call = client.publishAsync();
    call.on('error', () => {});
    const answers: Answer[] = [];
    call.on('data', (answer: Answer) => answers.push(answer));
    await broker.faults.nats('down');
    await expect(client.publish('s', 'refused')).rejects.toEqual(NO_PUBLISH);
    await expect(client.call('publishToSubject', { subject: 's' })).rejects.toEqual(NO_PUBLISH);
    call.write({ stream: 's', value: Buffer.from('refused'), correlationId: 'x' });
    await eventually(
      () => answers.length,
      (count) => count === 1,
    );
    expect(answers[0].asyncError).toEqual({ code: 'INTERNAL', message: NO_PUBLISH.details });
    await expect(client.call('setCursor', { ...cursor, offset: 1 })).rejects.toEqual({
      code: 'INTERNAL',
      details: NO_PUBLISH.details,
    });
    expect((await client.call('fetchCursor', cursor)).offset).toBe(0);
    await client.createStream('t');
    await client.call('pauseStream', { name: 't' });
    await client.call('setStreamReadonly', { name: 't', readonly: true });
    await client.call('fetchConsumerGroupAssignments', { groupId: 'g', consumerId: 'c', epoch });
    expect((await client.partition('s')).newestOffset).toBe(0);
    const read = client.subscribe('s');
    await read.count(1);
    read.cancel();
    expect((await client.call('fetchMetadata')).streamMetadata).toHaveLength(3);
    await broker.clock.advance(120_001);
    await expect(client.call('fetchMetadata')).rejects.toEqual({ code: 'INTERNAL', details: OVERFLOW });
    await broker.faults.nats('up');
    expect((await client.publish('s', 'after')).offset).toBe(1);
    call.write({ stream: 's', value: Buffer.from('after'), correlationId: 'y' });
    await eventually(
      () => answers.length,
      (count) => count === 2,
    );
    await subscription.count(3);
    expect(subscription.values).toEqual(['before', 'after', 'after']);
    subscription.cancel();
    call.end();
  });

  it('disconnects NATS clients, and listens again on the same port', async () => {
    const { broker, client } = await running({ nats: true });
    await client.createStream('s');
    const nats = await connect({ servers: broker.natsUrl!, reconnectTimeWait: 20, maxReconnectAttempts: -1 });
    try {
      await broker.faults.nats('down');
      await expect(connect({ servers: broker.natsUrl!, reconnect: false })).rejects.toThrow('CONNECTION_REFUSED');
      await Promise.all([broker.faults.nats('up'), broker.faults.nats('down'), broker.faults.nats('up')]);
      await eventually(
        async () => {
          nats.publish('s', 'raw');
          return broker.messages('s').length;
        },
        (stored) => stored > 0,
      );
      await expect(broker.faults.nats('off' as 'up')).rejects.toThrow('expected state to be "down" or "up"');
    } finally {
      await nats.close();
    }
  });
});

describe('a cluster without NATS', () => {
  it('has no metadata leader, keeps the leaders of its partitions and loses nothing that was committed', async () => {
    const { broker, clients, leader, follower } = await threeBrokers();
    await clients[leader]!.publish('s', 'before', { ackPolicy: 'ALL' });
    const clock = freezeClock();
    await broker.faults.nats('down');
    const forwarding = clients[1]!;
    const refusal = () => forwarding.call('createStream', { name: 't', subject: 't' }, null);
    await expect(refusal()).rejects.toEqual({ code: 'INTERNAL', details: OVERFLOW });
    await broker.clock.advance(10_000);
    await expect(refusal()).rejects.toEqual({ code: 'INTERNAL', details: 'no known metadata leader' });
    clock.thaw();
    expect(broker.leaderOf('s')).toBe(leader);
    expect((await clients[leader]!.partition('s')).isr).toHaveLength(3);
    await broker.faults.nats('up');
    const ack = await eventually(
      () => clients[follower]!.publish('s', 'after', { ackPolicy: 'ALL' }).catch(() => null),
      (answer) => answer !== null,
    );
    expect(ack.offset).toBe(1);
    await eventually(
      () =>
        forwarding.createStream('t').then(
          () => true,
          () => false,
        ),
      (created) => created,
    );
  });
});
