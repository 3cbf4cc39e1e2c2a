import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { openBroker } from '../broker-fixture.js';

const { CREATE_STREAM, DELETE_STREAM, PAUSE_STREAM, RESUME_STREAM, SET_STREAM_READONLY } = wire.ActivityStreamOp;
const { JOIN_CONSUMER_GROUP, LEAVE_CONSUMER_GROUP } = wire.ActivityStreamOp;

function events(broker: TestBroker): wire.ActivityStreamEvent[] {
  return broker.messages('__activity').map(({ value }) => wire.ActivityStreamEvent.decode(value!));
}

/** The fields of an event except its id and its operation. */
function about(event: wire.ActivityStreamEvent): unknown {
  const { id: _id, op, ...parts } = event;
  return [op, ...Object.values(parts).filter((part) => part !== undefined)];
}

async function recorded(broker: TestBroker, count: number): Promise<wire.ActivityStreamEvent[]> {
  await expect.poll(() => events(broker).length).toBeGreaterThanOrEqual(count);
  return events(broker);
}

describe('the activity stream', () => {
  it('records every change in order, with growing ids', async () => {
    const { broker, api } = await openBroker({ activityStream: true, cursorsPartitions: 1 });
    await api.createStream('s', { partitions: 2 });
    await api.failure('CreateStream', { name: 's', subject: 's' });
    await api.call('PauseStream', { name: 's', resumeAll: true });
    await api.publish('s', ['resumes']);
    await api.call('SetStreamReadonly', { name: 's', partitions: [1], readonly: true });
    await api.call('JoinConsumerGroup', { groupId: 'g', consumerId: 'c', streams: ['s', 's'] });
    await api.call('LeaveConsumerGroup', { groupId: 'g', consumerId: 'c' });
    await api.call('DeleteStream', { name: 's' });
    const all = await recorded(broker, 9);
    expect(all.map(about)).toEqual([
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
    const ids = all.map(({ id }) => id);
    expect(ids.every((id, i) => i === 0 || id > ids[i - 1]!)).toBe(true);
    const [{ key, headers, subject }] = broker.messages('__activity') as [ReturnType<TestBroker['messages']>[0]];
    expect({ key, subject, headers: Object.keys(headers) }).toEqual({
      key: null,
      subject: 'liftbridge-default.activity',
      headers: ['subject', 'reply'],
    });
  });

  it('does not exist unless it is enabled', async () => {
    const { api } = await openBroker();
    expect(await api.subscribe({ stream: '__activity' }).end()).toMatchObject({ message: 'No such partition' });
    expect(await api.failure('Publish', { stream: '__activity' })).toMatchObject({
      status: 'NOT_FOUND',
      message: 'no such stream: __activity',
    });
  });

  it('delays events while it is readonly, and publishes them afterwards', async () => {
    const { broker, api } = await openBroker({ activityStream: true, cursorsPartitions: 0 });
    await recorded(broker, 1);
    await api.call('SetStreamReadonly', { name: '__activity', readonly: true });
    await api.createStream('s');
    expect(events(broker)).toHaveLength(1);
    await api.call('SetStreamReadonly', { name: '__activity', readonly: false });
    await broker.clock.advance(2_000);
    const all = await recorded(broker, 4);
    expect(all.map(({ op }) => op)).toEqual([CREATE_STREAM, SET_STREAM_READONLY, CREATE_STREAM, SET_STREAM_READONLY]);
  });

  it('continues at its position when the broker restarts', async () => {
    const { broker, api } = await openBroker({ activityStream: true, cursorsPartitions: 0 });
    await recorded(broker, 1);
    await api.call('SetStreamReadonly', { name: '__activity', readonly: true });
    await api.createStream('held-back');
    await broker.stopBroker(0);
    await broker.startBroker(0);
    await expect
      .poll(() => api.call('SetStreamReadonly', { name: '__activity', readonly: false }).catch(String))
      .toEqual({});
    await broker.clock.advance(15_000);
    const all = await recorded(broker, 4);
    expect(all.map(({ op }) => op)).toEqual([CREATE_STREAM, SET_STREAM_READONLY, CREATE_STREAM, SET_STREAM_READONLY]);
  });

  it('records everything once across a restart of the process', async () => {
    const dataDir = temporaryDirectory();
    const first = await openBroker({ activityStream: true, cursorsPartitions: 0, dataDir });
    await first.api.createStream('one');
    await recorded(first.broker, 2);
    await first.broker.close();
    const { broker, api } = await openBroker({ activityStream: true, cursorsPartitions: 0, dataDir });
    await api.createStream('two');
    const streams = (await recorded(broker, 3)).map(({ createStreamOp }) => createStreamOp?.stream);
    expect(streams).toEqual(['__activity', 'one', 'two']);
  });

  it('records nothing from before a reset', async () => {
    const { broker, api } = await openBroker({ activityStream: true, cursorsPartitions: 0 });
    await api.createStream('before');
    await broker.reset();
    await api.createStream('after');
    const all = await recorded(broker, 2);
    expect(all.map(({ createStreamOp }) => createStreamOp?.stream)).toEqual(['__activity', 'after']);
  });
});
