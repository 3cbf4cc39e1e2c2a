import { Server, ServerCredentials, type ServerDuplexStream, type ServerWritableStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Message,
  type PublishRequest,
  PublishResponse,
  SubscribeRequest,
} from '../../../src/protocol/generated/api.js';
import { decodeMessage, emptyMessage } from '../../../src/protocol/message.js';
import { encodePublishRequest } from '../../../src/protocol/publish-request.js';
import { decodePublishResponse } from '../../../src/protocol/publish-response.js';
import { DataSession } from '../../../src/transport/duplex.js';
import { deferred } from '../../support/deferred.js';
import { APIService } from '../../support/grpc-js-api.js';

type Publishes = ServerDuplexStream<PublishRequest, PublishResponse>;
type Subscription = ServerWritableStream<SubscribeRequest, Message>;

let server: Server;
let session: DataSession;
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
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  session = new DataSession({ host: '127.0.0.1', port, keepaliveTime: 20 });
  await session.connect();
});

afterEach(async () => {
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
