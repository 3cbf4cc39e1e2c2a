import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/cluster/unary-calls.js';
import {
  type FetchPartitionMetadataRequest,
  type FetchPartitionMetadataResponse,
  Message,
  PartitionMetadata,
  type PublishRequest,
  PublishResponse,
  SubscribeRequest,
} from '../../../src/protocol/generated/api.js';
import { decodeMessage, emptyMessage } from '../../../src/protocol/message.js';
import { encodePublishRequest } from '../../../src/protocol/publish-request.js';
import { decodePublishResponse } from '../../../src/protocol/publish-response.js';
import { DataSession } from '../../../src/transport/duplex.js';
import { UnaryChannel } from '../../../src/transport/unary.js';
import { deferred } from '../../support/deferred.js';
import { APIService } from '../../support/grpc-js-api.js';

type Publishes = ServerDuplexStream<PublishRequest, PublishResponse>;
type Fetch = ServerUnaryCall<FetchPartitionMetadataRequest, FetchPartitionMetadataResponse>;
type Subscription = ServerWritableStream<SubscribeRequest, Message>;

let server: Server;
let session: DataSession;
let channel: UnaryChannel;
let cancelled: Promise<void>;

beforeEach(async () => {
  const told = deferred<void>();
  cancelled = told.promise;
  server = new Server();
  server.register(
    APIService.publishAsync.path,
    (call: Publishes) => {
      call.on('data', ({ correlationId, stream }: PublishRequest) => {
        if (stream === 'fail') call.emit('error', { code: 9, details: 'no: ü' });
        else call.write(PublishResponse.fromPartial({ correlationId, ack: { stream, offset: 7n } }));
      });
      call.on('end', () => call.end());
    },
    APIService.publishAsync.responseSerialize,
    APIService.publishAsync.requestDeserialize,
    'bidi',
  );
  server.register(
    APIService.subscribe.path,
    (call: Subscription) => {
      call.on('cancelled', () => told.resolve());
      for (let i = 0; i < call.request.partition; i++) call.write(Message.fromPartial({ offset: BigInt(i) }));
      if (call.request.stream === 'end') call.end();
    },
    APIService.subscribe.responseSerialize,
    APIService.subscribe.requestDeserialize,
    'serverStream',
  );
  server.register(
    APIService.fetchPartitionMetadata.path,
    ({ request }: Fetch, reply: sendUnaryData<FetchPartitionMetadataResponse>) => {
      if (request.stream === 'fail') reply({ code: 5, details: 'no: ü' });
      else if (request.stream !== 'silence')
        reply(null, { metadata: PartitionMetadata.fromPartial({ id: request.partition }) });
    },
    APIService.fetchPartitionMetadata.responseSerialize,
    APIService.fetchPartitionMetadata.requestDeserialize,
    'unary',
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  session = new DataSession({ host: '127.0.0.1', port, keepaliveTime: 20 });
  channel = new UnaryChannel({ host: '127.0.0.1', port });
  await session.connect();
});

afterEach(async () => {
  await channel.close();
  await session.close();
  server.forceShutdown();
});

const publish = (stream: string, correlationId: string) => ({
  key: null,
  value: Buffer.from('v'),
  stream,
  partition: 0,
  headers: null,
  ackInbox: '',
  correlationId,
  ackPolicy: 0 as const,
  expectedOffset: 0n,
});

describe('DataSession against a grpc-js server', () => {
  it('publishes and reads answers', async () => {
    const stream = session.open(APIService.publishAsync.path);
    const ids: string[] = [];
    stream.onFrames((source, start, end) => ids.push(decodePublishResponse(source, start, end).ack?.stream ?? ''));
    for (let i = 0; i < 500; i++) stream.write((writer) => encodePublishRequest(writer, publish(`s${i}`, 'id')));
    stream.halfClose();
    expect(await stream.ended).toMatchObject({ code: 0, transport: false });
    expect(ids).toEqual(Array.from({ length: 500 }, (_, i) => `s${i}`));
  });

  it('reads the status of a call that the server ends while the client still writes', async () => {
    const stream = session.open(APIService.publishAsync.path);
    stream.onFrames(() => {});
    stream.write((writer) => encodePublishRequest(writer, publish('fail', 'id')));
    expect(await stream.ended).toMatchObject({ code: 9, message: 'no: ü', transport: false });
  });

  it('subscribes to the end', async () => {
    const stream = session.open(APIService.subscribe.path);
    const offsets: bigint[] = [];
    stream.onFrames((source, start, end) => offsets.push(decodeMessage(source, start, end, emptyMessage()).offset));
    stream.send(SubscribeRequest.encode(SubscribeRequest.fromPartial({ stream: 'end', partition: 3 })).finish());
    stream.halfClose();
    expect((await stream.ended).code).toBe(0);
    expect(offsets).toEqual([0n, 1n, 2n]);
  });

  it('cancels on the server', async () => {
    const stream = session.open(APIService.subscribe.path);
    stream.onFrames(() => stream.cancel());
    stream.send(SubscribeRequest.encode(SubscribeRequest.fromPartial({ stream: 'go', partition: 1 })).finish());
    stream.halfClose();
    expect((await stream.ended).code).toBe(1);
    await cancelled;
  });

  it('reads UNIMPLEMENTED for a method that is not there', async () => {
    const stream = session.open('/proto.API/Nothing');
    stream.onFrames(() => {});
    stream.halfClose();
    expect(await stream.ended).toMatchObject({ code: 12, transport: false });
  });
});

describe('UnaryChannel against a grpc-js server', () => {
  const fetch = (stream: string, timeout = 10_000) =>
    channel.call(definitionOf('fetchPartitionMetadata'), { stream, partition: 7 }, { timeout });

  it('reads answers, one after the other and many at once', async () => {
    expect((await fetch('foo')).metadata?.id).toBe(7);
    const many = await Promise.all(Array.from({ length: 200 }, () => fetch('foo')));
    expect(many.every(({ metadata }) => metadata?.id === 7)).toBe(true);
  });

  it('reads the status and the text of a refusal', async () => {
    await expect(fetch('fail')).rejects.toMatchObject({ code: 5, details: 'no: ü', sent: true });
  });

  it('reads UNIMPLEMENTED for a method that is not there', async () => {
    const call = channel.call(definitionOf('deleteStream'), { name: 'foo' });
    await expect(call).rejects.toMatchObject({ code: 12, sent: true });
  });

  it('ends by its deadline, and continues with the next call on the same connection', async () => {
    await fetch('foo');
    const { connection } = channel;
    expect(connection).not.toBeNull();
    await expect(fetch('silence', 30)).rejects.toMatchObject({ code: 4 });
    expect((await fetch('foo')).metadata?.id).toBe(7);
    expect(channel.connection).toBe(connection);
  });
});
