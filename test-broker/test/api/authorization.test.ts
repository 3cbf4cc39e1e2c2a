import { credentials } from '@grpc/grpc-js';
import type { TestBroker } from 'liftbridge-test-broker';
import { beforeAll, describe, expect, it } from 'vitest';
import { shareBroker } from '../broker-fixture.js';
import { certificates } from '../grpc/certificates.js';
import type { ApiClient } from './api-client.js';

const USER = 'alice';
const RULES = [
  ['may', 'CreateStream'],
  ['__other', 'CreateStream'],
  ['may-not', 'CreateStream'],
  ['readable', 'CreateStream'],
  ['may', 'Publish'],
  ['may', 'SetCursor'],
  ['may', 'FetchCursor'],
  ['may', 'PublishToSubject'],
].map(([resource, rpc]) => [USER, resource!, rpc!] as const);

const denied = (rpc: string, resource: string) => ({
  status: 'UNKNOWN',
  message: `The client is not authorized to call ${rpc} on resource ${resource}`,
});

let broker: TestBroker;
let api: ApiClient;

beforeAll(async () => {
  const { ca, server, client } = await certificates(USER);
  const pem = [ca.cert, client.key, client.cert].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
  ({ broker, api } = await shareBroker(
    {
      cursorsPartitions: 1,
      activityStream: true,
      tls: { cert: server.cert, key: server.key, clientCa: ca.cert },
      settings: { 'tls.client.authz.enabled': true, 'tls.client.authz.policy': RULES },
    },
    credentials.createSsl(...pem),
  ));
  for (const name of ['may', 'may-not']) await api.createStream(name);
});

describe('authorisation', () => {
  it('is checked after the arguments of CreateStream, and before the stream is looked up', async () => {
    expect(await api.failure('CreateStream', { name: '', subject: 'x' })).toMatchObject({
      status: 'INVALID_ARGUMENT',
    });
    expect(await api.failure('CreateStream', { name: 'x', subject: 'x' })).toEqual(denied('CreateStream', 'x'));
    expect(await api.failure('CreateStream', { name: 'may', subject: 'x' })).toMatchObject({
      status: 'ALREADY_EXISTS',
    });
  });

  it('is checked first for DeleteStream, also of a reserved stream', async () => {
    expect(await api.failure('DeleteStream', { name: '__cursors' })).toEqual(denied('DeleteStream', '__cursors'));
  });

  it.each(['PauseStream', 'SetStreamReadonly'] as const)('is checked before %s looks up the stream', async (rpc) => {
    expect(await api.failure(rpc, { name: 'nope' })).toEqual(denied(rpc, 'nope'));
  });

  it('is checked before FetchPartitionMetadata looks up the partition', async () => {
    const request = { stream: 'nope', partition: 0 };
    expect(await api.failure('FetchPartitionMetadata', request)).toEqual(denied('FetchPartitionMetadata', 'nope'));
  });

  it('checks the resource * for FetchMetadata', async () => {
    expect(await api.failure('FetchMetadata', {})).toEqual(denied('FetchMetadata', '*'));
  });

  it('is checked last for Subscribe', async () => {
    expect(await api.subscribe({ stream: 'nope' }).end()).toMatchObject({ status: 'NOT_FOUND' });
    expect(await api.subscribe({ stream: 'may', stopPosition: 2 }).end()).toMatchObject({
      message: 'Stream is empty',
    });
    expect(await api.subscribe({ stream: 'may' }).end()).toEqual(denied('Subscribe', 'may'));
  });

  it('is checked after Publish has looked up the stream', async () => {
    expect(await api.failure('Publish', { stream: 'nope' })).toMatchObject({ status: 'NOT_FOUND' });
    expect(await api.failure('Publish', { stream: 'may-not' })).toEqual(denied('Publish', 'may-not'));
    await expect(api.publish('may', ['x'])).resolves.toHaveLength(1);
  });

  it('checks the subject for PublishToSubject', async () => {
    expect(await api.failure('PublishToSubject', { subject: 'x' })).toEqual(denied('PublishToSubject', 'x'));
    await expect(api.call('PublishToSubject', { subject: 'may' })).resolves.toMatchObject({ ack: { stream: 'may' } });
  });

  it('reports a rejected PublishAsync message, which is stored nevertheless', async () => {
    const publishing = api.publishAsync();
    publishing.send({ stream: 'may-not', correlationId: 'c' });
    const [refusal, ack] = await publishing.take(2);
    const { message } = denied('Publish', 'may-not');
    expect(refusal).toMatchObject({ asyncError: { code: 7, message }, correlationId: 'c' });
    expect(ack).toMatchObject({ ack: { stream: 'may-not', offset: 0n }, correlationId: 'c' });
    publishing.cancel();
  });

  it('requires more permissions to set a cursor than to read one', async () => {
    const cursor = { stream: 'may', partition: 0, cursorId: 'c' };
    expect(await api.failure('SetCursor', {})).toMatchObject({ status: 'INVALID_ARGUMENT' });
    expect(await api.failure('FetchCursor', { ...cursor, stream: 'x' })).toEqual(denied('FetchCursor', 'x'));
    const { message } = denied('Publish', '__cursors');
    expect(await api.failure('SetCursor', cursor)).toEqual({ status: 'INTERNAL', message });
    expect(await api.call('FetchCursor', cursor)).toEqual({ offset: -1n });
  });

  it('permits every client to use consumer groups', async () => {
    const request = { groupId: 'g', consumerId: 'c', streams: ['may'] };
    await expect(api.call('JoinConsumerGroup', request)).resolves.toMatchObject({ epoch: 0n });
  });

  it('keeps the activity stream empty, because its publisher has no identity', async () => {
    await broker.clock.advance(5_000);
    expect(broker.messages('__activity')).toEqual([]);
  });
});
