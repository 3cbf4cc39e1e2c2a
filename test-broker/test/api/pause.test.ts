import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expiry, names, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const CLOSED = { status: 'FAILED_PRECONDITION', message: 'commit log was closed' };
const NOT_LEADER = { status: 'FAILED_PRECONDITION', message: 'The request should be sent to partition leader' };

let broker: TestBroker;
let api: ApiClient;
let stream = '';
const fresh = names('pause');

beforeAll(async () => {
  ({ broker, api } = await shareBroker());
});
beforeEach(() => {
  stream = fresh();
});

const leads = async (partition = 0) =>
  (await api.call('FetchPartitionMetadata', { stream, partition }).catch(() => null)) !== null;

describe.each(['PauseStream', 'SetStreamReadonly'] as const)('%s', (rpc) => {
  it('has two texts for a stream that does not exist', async () => {
    const notFound = (message: string) => ({ status: 'NOT_FOUND', message });
    expect(await api.failure(rpc, { name: 'nope' })).toEqual(notFound('stream not found'));
    expect(await api.failure(rpc, { name: 'nope', partitions: [0] })).toEqual(notFound('stream does not exist'));
  });

  it.each([4, -1])('does nothing when one of the partitions is unknown (%i)', async (unknown) => {
    await api.createStream(stream);
    expect(await api.failure(rpc, { name: stream, partitions: [0, unknown] })).toEqual({
      status: 'NOT_FOUND',
      message: 'partition does not exist',
    });
    await expect(api.publish(stream, ['still writable'])).resolves.toHaveLength(1);
  });
});

describe('PauseStream', () => {
  it('ends live subscriptions', async () => {
    await api.createStream(stream);
    const messages = api.subscribe({ stream });
    await messages.next();
    await api.call('PauseStream', { name: stream });
    expect(await messages.end()).toEqual(CLOSED);
  });

  it('leaves the partition without a leader until the next publish, and remains in the metadata', async () => {
    await api.createStream(stream);
    await api.publish(stream, ['a']);
    await api.call('PauseStream', { name: stream });
    expect(await api.failure('FetchPartitionMetadata', { stream, partition: 0 })).toEqual(NOT_LEADER);
    const [ack] = await api.publish(stream, ['b']);
    expect(ack!.offset).toBe(1n);
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ paused: true, newestOffset: 1n });
    expect(metadata!.pauseTimestamps!.latestTimestamp).toBeGreaterThan(metadata!.pauseTimestamps!.firstTimestamp);
  });

  it.each([
    [true, [true, true, true]],
    [false, [false, true, false]],
  ])('with resumeAll %s resumes %j when a client publishes to partition 1', async (resumeAll, expected) => {
    await api.createStream(stream, { partitions: 3 });
    await api.call('PauseStream', { name: stream, resumeAll });
    await api.publish(stream, ['x'], { partition: 1 });
    expect([await leads(0), await leads(1), await leads(2)]).toEqual(expected);
  });

  it('is ended by PublishAsync, which keeps the order of later messages', async () => {
    await api.createStream(stream);
    await api.call('PauseStream', { name: stream });
    const publishing = api.publishAsync();
    for (const correlationId of ['a', 'b', 'c']) publishing.send({ stream, correlationId });
    const acks = await publishing.take(3);
    expect(acks.map(({ correlationId, ack }) => [correlationId, ack!.offset])).toEqual([
      ['a', 0n],
      ['b', 1n],
      ['c', 2n],
    ]);
    publishing.cancel();
  });

  it('is not ended by PublishToSubject, whose message is lost', async () => {
    await api.createStream(stream);
    await api.publish(stream, ['a']);
    await api.call('PauseStream', { name: stream });
    const { status } = await expiry({ broker, api }, 'PublishToSubject', { subject: stream });
    expect(status).toBe('DEADLINE_EXCEEDED');
    const [ack] = await api.publish(stream, ['b']);
    expect(ack!.offset).toBe(1n);
  });

  it('can be repeated', async () => {
    await api.createStream(stream);
    await api.call('PauseStream', { name: stream });
    await expect(api.call('PauseStream', { name: stream })).resolves.toEqual({});
  });
});

describe('Subscribe on a paused partition', () => {
  beforeEach(async () => {
    await api.createStream(stream);
    await api.publish(stream, ['a', 'b', 'c']);
    await api.call('PauseStream', { name: stream });
  });
  const segmentClosed = 'segment has been closed';

  it.each([
    ['EARLIEST', { startPosition: 2 as const }],
    ['LATEST', { startPosition: 3 as const }],
    ['OFFSET 0', { startPosition: 1 as const }],
    ['EARLIEST to STOP_LATEST', { startPosition: 2 as const, stopPosition: 2 as const }],
  ])('fails at %s', async (_, request) => {
    expect(await api.subscribe({ stream, ...request }).end()).toEqual({
      status: 'INTERNAL',
      message: `Failed to create stream reader: ${segmentClosed}`,
    });
  });

  it('fails to look up a timestamp', async () => {
    expect(await api.subscribe({ stream, startPosition: 4, startTimestamp: 1n }).end()).toEqual({
      status: 'INTERNAL',
      message: `Failed to lookup offset for timestamp: failed to find log segment for timestamp: ${segmentClosed}`,
    });
  });

  it.each([
    ['NEW_ONLY', { startPosition: 0 as const }],
    ['OFFSET 50', { startPosition: 1 as const, startOffset: 50n }],
    ['reverse LATEST', { startPosition: 3 as const, reverse: true }],
  ])('is accepted and then ends at %s', async (_, request) => {
    const { messages, end } = await api.subscribe({ stream, ...request }).all();
    expect(messages).toHaveLength(1);
    expect(end).toEqual(CLOSED);
  });

  it('resumes the partition first if the request says so', async () => {
    const messages = api.subscribe({ stream, startPosition: 2, resume: true });
    const [, ...read] = await messages.take(4);
    expect(read.map(({ offset }) => offset)).toEqual([0n, 1n, 2n]);
    messages.cancel();
  });
});

describe('SetStreamReadonly', () => {
  it('rejects publishes until it is reset', async () => {
    await api.createStream(stream);
    await api.call('SetStreamReadonly', { name: stream, readonly: true });
    const message = 'readonly partition: 0';
    expect(await api.failure('Publish', { stream })).toEqual({ status: 'FAILED_PRECONDITION', message });
    const publishing = api.publishAsync();
    publishing.send({ stream, correlationId: 'c' });
    expect(await publishing.next()).toMatchObject({ ack: {}, asyncError: { code: 4, message }, correlationId: 'c' });
    publishing.cancel();
    await api.call('SetStreamReadonly', { name: stream, readonly: false });
    await expect(api.publish(stream, ['a'])).resolves.toHaveLength(1);
  });

  it('is checked before a pause, and reset by it', async () => {
    await api.createStream(stream);
    await api.publish(stream, ['a']);
    await api.call('SetStreamReadonly', { name: stream, readonly: true });
    await api.call('PauseStream', { name: stream });
    expect(await api.failure('Publish', { stream })).toMatchObject({ message: 'readonly partition: 0' });
    expect(await leads()).toBe(false);
    const messages = api.subscribe({ stream, resume: true });
    await messages.next();
    messages.cancel();
    const [ack] = await api.publish(stream, ['b']);
    expect(ack!.offset).toBe(1n);
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ readonly: true, paused: true });
  });

  it('records the time of each call, also when nothing changed', async () => {
    await api.createStream(stream);
    await api.call('SetStreamReadonly', { name: stream, readonly: true });
    await api.call('SetStreamReadonly', { name: stream, readonly: true });
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    const { firstTimestamp, latestTimestamp } = metadata!.readonlyTimestamps!;
    expect(latestTimestamp).toBeGreaterThan(firstTimestamp);
  });

  it('drops messages from NATS, but records their arrival', async () => {
    await api.createStream(stream);
    await api.call('SetStreamReadonly', { name: stream, readonly: true });
    await api.call('PublishToSubject', { subject: stream }, null);
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ newestOffset: -1n });
    expect(metadata!.messagesReceivedTimestamps!.latestTimestamp).toBeGreaterThan(0n);
  });
});

describe('auto-pause', () => {
  it('pauses a stream without any message, unless a subscriber counts as activity', async () => {
    const config = { autoPauseTime: { value: 600_000n } };
    await api.createStream(stream, config);
    const watched = `${stream}-watched`;
    await api.createStream(watched, { ...config, autoPauseDisableIfSubscribers: { value: true } });
    const [left, kept] = [api.subscribe({ stream }), api.subscribe({ stream: watched })];
    await Promise.all([left.next(), kept.next()]);
    await broker.clock.advance(700_000);
    expect(await left.end()).toEqual(CLOSED);
    expect(await leads()).toBe(false);
    await expect(api.call('FetchPartitionMetadata', { stream: watched, partition: 0 })).resolves.toBeDefined();
    kept.cancel();
  });
});
