import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wire } from 'liftbridge-client/protocol';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { ApiClient } from './api-client.js';

const { CREATE_STREAM, DELETE_STREAM, PAUSE_STREAM, RESUME_STREAM, SET_STREAM_READONLY } = wire.ActivityStreamOp;
const { JOIN_CONSUMER_GROUP, LEAVE_CONSUMER_GROUP } = wire.ActivityStreamOp;

function events(broker: TestBroker): wire.ActivityStreamEvent[] {
  return broker.messages('__activity').map(({ value }) => wire.ActivityStreamEvent.decode(value!));
}

/** What an event says beside its id and what it is about. */
function about(event: wire.ActivityStreamEvent): unknown {
  const { id: _id, op, ...parts } = event;
  return [op, ...Object.values(parts).filter((part) => part !== undefined)];
}

async function eventually(broker: TestBroker, count: number): Promise<wire.ActivityStreamEvent[]> {
  await expect.poll(() => events(broker).length).toBeGreaterThanOrEqual(count);
  return events(broker);
}

describe('the activity stream', () => {
  it('tells of every change in its order, with ids that grow', async () => {
    await using broker = await TestBroker.start({ activityStream: true, cursorsPartitions: 1 });
    const api = new ApiClient(broker.addresses[0]!);
    await api.createStream('s', { partitions: 2 });
    await api.failure('CreateStream', { name: 's', subject: 's' });
    await api.call('PauseStream', { name: 's', resumeAll: true });
    await api.publish('s', ['resumes']);
    await api.call('SetStreamReadonly', { name: 's', partitions: [1], readonly: true });
    await api.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s', 's'] });
    await api.call('LeaveConsumerGroup', { groupId: 'g', consumerId: 'c' });
    await api.call('DeleteStream', { name: 's' });
    const told = await eventually(broker, 9);
    expect(told.map(about)).toEqual([
      [CREATE_STREAM, { stream: '__activity', partitions: [0] }],
      [CREATE_STREAM, { stream: '__cursors', partitions: [0] }],
      [CREATE_STREAM, { stream: 's', partitions: [0, 1] }],
      [PAUSE_STREAM, { stream: 's', partitions: [0, 1], resumeAll: true }],
      [RESUME_STREAM, { stream: 's', partitions: [0, 1] }],
      [SET_STREAM_READONLY, { stream: 's', partitions: [1], readonly: true }],
      [JOIN_CONSUMER_GROUP, { groupId: 'g', consumerId: 'c', streams: ['s', 's'] }],
      [LEAVE_CONSUMER_GROUP, { groupId: 'g', consumerId: 'c', expired: false }],
      [DELETE_STREAM, { stream: 's' }],
    ]);
    const ids = told.map(({ id }) => id);
    expect(ids.every((id, i) => i === 0 || id > ids[i - 1]!)).toBe(true);
    const [{ key, headers, subject }] = broker.messages('__activity') as [ReturnType<TestBroker['messages']>[0]];
    expect({ key, subject, headers: Object.keys(headers) }).toEqual({
      key: null,
      subject: 'liftbridge-default.activity',
      headers: ['subject', 'reply'],
    });
    api.close();
  });

  it('does not exist unless it is asked for', async () => {
    await using broker = await TestBroker.start();
    const api = new ApiClient(broker.addresses[0]!);
    expect(await api.subscribe({ stream: '__activity' }).end()).toMatchObject({ message: 'No such partition' });
    expect(await api.failure('Publish', { stream: '__activity' })).toMatchObject({
      status: 'NOT_FOUND',
      message: 'no such stream: __activity',
    });
    api.close();
  });

  it('holds events back while it is readonly, and catches up', async () => {
    await using broker = await TestBroker.start({ activityStream: true });
    const api = new ApiClient(broker.addresses[0]!);
    await eventually(broker, 1);
    await api.call('SetStreamReadonly', { name: '__activity', readonly: true });
    await api.createStream('s');
    await api.call('SetStreamReadonly', { name: '__activity', readonly: false });
    expect(events(broker)).toHaveLength(1);
    await broker.clock.advance(2_000);
    const told = await eventually(broker, 4);
    expect(told.map(({ op }) => op)).toEqual([CREATE_STREAM, SET_STREAM_READONLY, CREATE_STREAM, SET_STREAM_READONLY]);
    api.close();
  });

  it('goes on where it was when the broker comes back', async () => {
    await using broker = await TestBroker.start({ activityStream: true });
    const api = new ApiClient(broker.addresses[0]!);
    await eventually(broker, 1);
    await api.call('SetStreamReadonly', { name: '__activity', readonly: true });
    await api.createStream('held-back');
    await broker.stopBroker(0);
    await broker.startBroker(0);
    await expect
      .poll(() => api.call('SetStreamReadonly', { name: '__activity', readonly: false }).catch(String))
      .toEqual({});
    await broker.clock.advance(15_000);
    const told = await eventually(broker, 4);
    expect(told.map(({ op }) => op)).toEqual([CREATE_STREAM, SET_STREAM_READONLY, CREATE_STREAM, SET_STREAM_READONLY]);
    api.close();
  });

  it('tells everything once across a restart of the process', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'activity-'));
    try {
      for (const name of ['one', 'two']) {
        await using broker = await TestBroker.start({ activityStream: true, dataDir });
        const api = new ApiClient(broker.addresses[0]!);
        await api.createStream(name);
        await eventually(broker, name === 'one' ? 2 : 3);
        api.close();
        if (name === 'one') continue;
        const told = events(broker).map(({ createStreamOp }) => createStreamOp?.stream);
        expect(told).toEqual(['__activity', 'one', 'two']);
      }
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  it('tells nothing of what was before a reset', async () => {
    await using broker = await TestBroker.start({ activityStream: true });
    const api = new ApiClient(broker.addresses[0]!);
    await api.createStream('before');
    await broker.reset();
    await api.createStream('after');
    const told = await eventually(broker, 2);
    expect(told.map(({ createStreamOp }) => createStreamOp?.stream)).toEqual(['__activity', 'after']);
    api.close();
  });
});
