import { wire } from 'liftbridge-client/protocol';
import type { TestBroker } from 'liftbridge-test-broker';
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { expiry, names, openBroker, shareBroker } from '../broker-fixture.js';
import type { ApiClient } from './api-client.js';

const { LEADER, ALL, NONE } = wire.AckPolicy;
const NO_ACK = { ack: undefined, asyncError: undefined, correlationId: '' };

let broker: TestBroker;
let api: ApiClient;
let nats: NatsConnection;
let stream = '';
const fresh = names('publish');

beforeAll(async () => {
  ({ broker, api } = await shareBroker({ nats: true }));
  nats = await connect({ servers: broker.natsUrl! });
});
afterAll(() => nats.close());
beforeEach(async () => {
  stream = fresh();
});

const newest = async (name = stream) =>
  (await api.call('FetchPartitionMetadata', { stream: name, partition: 0 })).metadata!.newestOffset;

describe('Publish', () => {
  it('returns the complete ack and generates no correlation id', async () => {
    await api.createStream(stream, { partitions: 2 });
    const response = await api.call('Publish', { stream, partition: 1, correlationId: 'c', ackPolicy: ALL });
    expect(response).toMatchObject({
      asyncError: undefined,
      correlationId: '',
      ack: {
        stream,
        partitionSubject: stream,
        msgSubject: `${stream}.1`,
        offset: 0n,
        ackInbox: expect.stringMatching(/^liftbridge-default\.ack\.[0-9A-Za-z]{22}$/),
        correlationId: 'c',
        ackPolicy: ALL,
        ackError: 0,
      },
    });
    const { receptionTimestamp, commitTimestamp } = response.ack!;
    expect(receptionTimestamp).toBeGreaterThan(0n);
    expect(commitTimestamp).toBeGreaterThanOrEqual(receptionTimestamp);
  });

  it('does not wait for an ack without a deadline, or with the policy NONE', async () => {
    await api.createStream(stream);
    expect(await api.call('Publish', { stream }, null)).toEqual(NO_ACK);
    expect(await api.call('Publish', { stream, ackPolicy: NONE })).toEqual(NO_ACK);
    expect(await newest()).toBe(1n);
  });

  it.each([
    ['no stream', { stream: '' }, 'INVALID_ARGUMENT', 'no stream provided'],
    ['an unknown stream', { stream: 'nope' }, 'NOT_FOUND', 'no such stream: nope'],
    ['an unknown partition', { partition: 9 }, 'NOT_FOUND', 'no such partition: 9'],
    ['a negative partition', { partition: -1 }, 'NOT_FOUND', 'no such partition: -1'],
  ])('rejects %s', async (_, request, status, message) => {
    await api.createStream(stream);
    expect(await api.failure('Publish', { stream, ...request })).toEqual({ status, message });
  });

  it('waits until the deadline for the ack of an unknown policy', async () => {
    await api.createStream(stream);
    expect(await expiry({ broker, api }, 'Publish', { stream, ackPolicy: 7 as wire.AckPolicy })).toMatchObject({
      status: 'DEADLINE_EXCEEDED',
    });
    expect(await newest()).toBe(0n);
  });

  it('publishes nothing when it cannot subscribe to the ack inbox', async () => {
    await api.createStream(stream);
    expect(await api.failure('Publish', { stream, ackInbox: 'a b' })).toEqual({
      status: 'UNKNOWN',
      message: 'failed to subscribe to ack inbox: nats: invalid subject',
    });
    expect(await newest()).toBe(-1n);
  });

  it('treats the first message in the ack inbox as the ack', async () => {
    await api.createStream(stream);
    expect(await api.failure('Publish', { stream, ackInbox: stream })).toEqual({
      status: 'UNKNOWN',
      message: 'Invalid ack for publish: MsgType mismatch: expected 1, got 0',
    });
    const { messages } = await api.subscribe({ stream, startPosition: 2, stopPosition: 1, stopOffset: 1n }).all();
    expect(Buffer.from(messages[2]!.value).subarray(0, 8).toString('hex')).toBe('b90e43b400080001');
  });

  it('also sends the ack to the ack inbox of the request', async () => {
    await api.createStream(stream);
    const inbox = nats.subscribe(`inbox.${stream}`, { max: 1 });
    await nats.flush();
    await api.call('Publish', { stream, ackInbox: `inbox.${stream}` }, null);
    for await (const { data, reply } of inbox) {
      expect(Buffer.from(data).subarray(0, 8).toString('hex')).toBe('b90e43b400080001');
      expect(reply).toBe('');
      expect(wire.Ack.decode(data.subarray(8))).toMatchObject({ stream, offset: 0n });
    }
  });

  it('rejects messages that NATS or gRPC cannot transport', async () => {
    await api.createStream(stream);
    expect(await api.failure('Publish', { stream, value: Buffer.alloc(1_100_000) })).toEqual({
      status: 'UNKNOWN',
      message: 'failed to publish to NATS: nats: maximum payload exceeded',
    });
    const { status, message } = await api.failure('Publish', { stream, value: Buffer.alloc(5 * 1024 * 1024) });
    expect(status).toBe('RESOURCE_EXHAUSTED');
    expect(message).toMatch(/^grpc: received message larger than max \(\d+ vs\. 4194304\)$/);
  });

  it('delivers the headers of the message together with those of the broker', async () => {
    await api.createStream(stream);
    const headers = new Map(['h', 'subject', 'reply'].map((name) => [name, Buffer.from('mine')]));
    await api.publish(stream, ['x'], { headers });
    const messages = api.subscribe({ stream, startPosition: 2 });
    const [, message] = await messages.take(2);
    messages.cancel();
    const read = Object.fromEntries(
      [...message!.headers].map(([name, value]) => [name, Buffer.from(value).toString()]),
    );
    expect(read).toEqual({ h: 'mine', subject: stream, reply: '' });
  });
});

describe('Publish with concurrency control', () => {
  const refused = { status: 'UNKNOWN', message: 'incorrect expected offset' };
  beforeEach(() => api.createStream(stream, { optimisticConcurrencyControl: { value: true } }));

  it('accepts only the next offset, or no expected offset', async () => {
    await api.call('Publish', { stream, expectedOffset: 0n });
    expect(await api.failure('Publish', { stream, expectedOffset: 0n })).toEqual(refused);
    expect(await api.failure('Publish', { stream, expectedOffset: -2n })).toEqual(refused);
    await api.call('Publish', { stream, expectedOffset: -1n });
    await api.call('Publish', { stream, expectedOffset: 2n });
    expect(await newest()).toBe(2n);
  });

  it('requires an ack', async () => {
    expect(await api.failure('Publish', { stream, ackPolicy: NONE })).toEqual({
      status: 'INVALID_ARGUMENT',
      message: 'stream with concurrency control must have AckPolicy set',
    });
  });

  it('returns the nack to PublishToSubject', async () => {
    await api.call('PublishToSubject', { subject: stream });
    const { ack } = await api.call('PublishToSubject', { subject: stream, correlationId: 'c' });
    expect(ack).toMatchObject({ ackError: wire.Ack_Error.INCORRECT_OFFSET, offset: 0n, correlationId: 'c' });
    expect(await newest()).toBe(0n);
  });
});

describe('Publish below the min ISR', () => {
  const minIsr = { value: 3 };

  it('acknowledges LEADER but does not commit, with as many replicas as brokers', async () => {
    await api.createStream(stream, { minIsr, replicationFactor: -1 });
    const messages = api.subscribe({ stream, startPosition: 2 });
    await messages.next();
    await api.publish(stream, ['a'], { ackPolicy: LEADER });
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ highWatermark: -1n, newestOffset: 0n });
    await api.call('DeleteStream', { name: stream });
    expect(await messages.end()).toMatchObject({ status: 'NOT_FOUND' });
  });

  it('commits with LEADER but never acknowledges ALL, with a replication factor of 1', async () => {
    await api.createStream(stream, { minIsr });
    await api.publish(stream, ['a'], { ackPolicy: LEADER });
    expect(await expiry({ broker, api }, 'Publish', { stream, ackPolicy: ALL })).toMatchObject({
      status: 'DEADLINE_EXCEEDED',
    });
    const { metadata } = await api.call('FetchPartitionMetadata', { stream, partition: 0 });
    expect(metadata).toMatchObject({ highWatermark: 0n, newestOffset: 1n });
  });
});

describe('PublishToSubject', () => {
  it('fails when no stream has the subject, unless it waits for no ack', async () => {
    expect(await expiry({ broker, api }, 'PublishToSubject', { subject: 'without.listener' })).toMatchObject({
      status: 'DEADLINE_EXCEEDED',
    });
    expect(await api.call('PublishToSubject', { subject: 'without.listener' }, null)).toEqual({ ack: undefined });
    expect(await api.call('PublishToSubject', { subject: 'without.listener', ackPolicy: NONE })).toEqual({
      ack: undefined,
    });
  });

  it('does not check the subject itself, but lets NATS check it', async () => {
    expect(await api.failure('PublishToSubject', { subject: '' })).toEqual({
      status: 'UNKNOWN',
      message: 'failed to publish to NATS: nats: invalid subject',
    });
    await api.createStream(stream);
    expect(await api.call('PublishToSubject', { subject: `${stream} reply` })).toMatchObject({ ack: { stream } });
    const messages = api.subscribe({ stream, startPosition: 2 });
    const [, message] = await messages.take(2);
    expect(message!.replySubject).toBe('reply');
    messages.cancel();
  });

  it('sets neither a stream nor an expected offset in the envelope', async () => {
    const sniffed = nats.subscribe(stream, { max: 1 });
    await nats.flush();
    await api.call('PublishToSubject', { subject: stream, value: Buffer.from('v'), correlationId: 'c' }, null);
    for await (const { data } of sniffed) {
      expect(Buffer.from(data).subarray(0, 8).toString('hex')).toBe('b90e43b400080000');
      expect(wire.Message.decode(data.subarray(8))).toMatchObject({ stream: '', offset: 0n, subject: stream });
    }
  });
});

describe('a subject that is too long for NATS', () => {
  const long = 's'.repeat(4_001);

  it.each([
    ['Subject', { subject: long }],
    ['AckInbox', { subject: 'short', ackInbox: long }],
  ])('is rejected by PublishToSubject as %s, although a real server loses NATS permanently', async (what, request) => {
    const { status, message } = await api.failure('PublishToSubject', request);
    expect(status).toBe('INVALID_ARGUMENT');
    expect(message.startsWith(`${what} is invalid: it takes 4001 bytes. A real server`)).toBe(true);
  });

  it('loses only the ack of its own envelope', async () => {
    await api.createStream(stream);
    const heard: string[] = [];
    const listen = ({ message }: Error) => heard.push(message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const message = wire.Message.encode(
      wire.Message.fromPartial({ value: Buffer.from('kept'), ackInbox: long }),
    ).finish();
    nats.publish(stream, Buffer.concat([Buffer.from('b90e43b400080000', 'hex'), message]));
    await nats.flush();
    await vi.waitFor(() => expect(heard.join()).toContain('message lost: NATS cannot read the subject'), 10_000);
    expect(await api.call('Publish', { stream, ackPolicy: ALL })).toMatchObject({ ack: { offset: 1n } });
    expect(broker.messages(stream).map((stored) => stored.text())).toEqual(['kept', '']);
  });
});

describe('Publish above the maximum size for replication', () => {
  it('fails with the text of each call', async () => {
    const { api: client } = await openBroker({
      settings: { 'clustering.replication.max.bytes': 1_000 },
    });
    await client.createStream(stream);
    const value = Buffer.alloc(2_000);
    const message = 'message exceeds max replication size';
    expect(await client.failure('Publish', { stream, value })).toEqual({ status: 'INVALID_ARGUMENT', message });
    const publishing = client.publishAsync();
    publishing.send({ stream, value, correlationId: 'c' });
    expect(await publishing.next()).toMatchObject({ asyncError: { code: 1, message }, correlationId: 'c' });
    // Nacks are sent with every ack policy.
    publishing.send({ stream, value, correlationId: 'd', ackPolicy: NONE });
    expect(await publishing.next()).toMatchObject({ asyncError: { code: 1, message }, correlationId: 'd' });
    const { ack } = await client.call('PublishToSubject', { subject: stream, value });
    expect(ack).toMatchObject({ ackError: wire.Ack_Error.TOO_LARGE, commitTimestamp: 0n });
    publishing.cancel();
  });
});

describe('a header whose name is too long', () => {
  it('is rejected, although it crashes a real server', async () => {
    await api.createStream(stream);
    const headers = new Map([['x'.repeat(32_768), Buffer.alloc(0)]]);
    const message = 'header name is longer than 32767 bytes';
    const invalid = { status: 'INVALID_ARGUMENT', message };
    expect(await api.failure('Publish', { stream, headers })).toEqual(invalid);
    expect(await api.failure('PublishToSubject', { subject: stream, headers })).toEqual(invalid);
    const publishing = api.publishAsync();
    publishing.send({ stream, headers, correlationId: 'c' });
    expect(await publishing.next()).toMatchObject({ asyncError: { code: 1, message }, correlationId: 'c' });
    publishing.cancel();
    expect(await newest()).toBe(-1n);
  });
});

describe('a request that cannot be read', () => {
  it.each([
    ['is no protobuf', 'FetchMetadata', 'ffffff', 'proto: cannot parse invalid wire-format data'],
    ['has a field without number', 'FetchMetadata', '0000', 'proto: cannot parse invalid wire-format data'],
    ['ends with a field without number', 'FetchMetadata', '00', 'proto: cannot parse invalid wire-format data'],
    ['ends a group that never began', 'DeleteStream', '0c', 'proto: cannot parse invalid wire-format data'],
    [
      'has a number that is too long',
      'DeleteStream',
      '08ffffffffffffffffffff01',
      'proto: cannot parse invalid wire-format data',
    ],
    ['is no protobuf', 'Publish', 'ffffff', 'proto: cannot parse invalid wire-format data'],
    ['ends in the middle of a field', 'Publish', '1a0561', 'proto: cannot parse invalid wire-format data'],
    ['ends in the middle of a field', 'DeleteStream', '0a0561', 'proto: cannot parse invalid wire-format data'],
    ['has text that is not UTF-8', 'DeleteStream', '0a02c328', 'string field contains invalid UTF-8'],
    ['has text that is not UTF-8', 'Publish', '1a02c328', 'string field contains invalid UTF-8'],
  ])('fails with INTERNAL when it %s (%s)', async (_, method, hex, reason) => {
    expect(await api.raw(method, Buffer.from(hex, 'hex'))).toEqual({
      status: 'INTERNAL',
      message: `grpc: error unmarshalling request: ${reason}`,
    });
  });
});
