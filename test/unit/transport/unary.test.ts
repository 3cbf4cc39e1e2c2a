import { getEventListeners } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { definitionOf } from '../../../src/cluster/unary-calls.js';
import {
  FetchMetadataRequest,
  FetchMetadataResponse,
  PublishRequest,
  PublishResponse,
} from '../../../src/protocol/generated/api.js';
import { FrameSplitter } from '../../../src/transport/frames.js';
import { RpcFailure } from '../../../src/transport/status.js';
import { UnaryChannel, type UnaryChannelOptions } from '../../../src/transport/unary.js';
import { deferred } from '../../support/deferred.js';
import { FrameType, RawPeer } from '../../support/raw-peer.js';
import { answer, answerTrailersOnly, type CallScript, ScriptedPeer } from '../../support/scripted-peer.js';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function opened<T extends { close(): unknown }>(one: T): T {
  open.push(one);
  return one;
}

const peerWith = async (script: CallScript) => opened(await ScriptedPeer.start(script));

function channelTo(peer: { host: string; port: number }, options: Partial<UnaryChannelOptions> = {}): UnaryChannel {
  return opened(new UnaryChannel({ host: peer.host, port: peer.port, ...options }));
}

/** A peer that hands each whole request to `reply`. */
function serving(reply: (request: Buffer, stream: ServerHttp2Stream) => void): Promise<ScriptedPeer> {
  return peerWith((stream) => {
    const splitter = new FrameSplitter(1 << 20);
    stream.on('data', (chunk: Buffer) =>
      splitter.push(chunk, (source, start, end) => reply(source.subarray(start, end), stream)),
    );
  });
}

const metadataAnswer = Buffer.from(
  FetchMetadataResponse.encode({
    brokers: [{ id: 'a', host: 'h', port: 1, leaderCount: 2, partitionCount: 3 }],
    streamMetadata: [],
    groupMetadata: [],
  }).finish(),
);
const everything: FetchMetadataRequest = { streams: [], groups: [] };

async function failureOf(promise: Promise<unknown>): Promise<RpcFailure> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcFailure);
  return error as RpcFailure;
}

const fetchMetadata = definitionOf('fetchMetadata');
const publish = definitionOf('publish');

describe('UnaryChannel', () => {
  it('calls by the generated definitions, with a deadline even when none is given', async () => {
    const peer = await serving((request, stream) => {
      expect(FetchMetadataRequest.decode(request)).toEqual({ streams: ['s'], groups: [] });
      answer(stream, [metadataAnswer]);
    });
    const channel = channelTo(peer, { callMetadata: async () => ({ token: 'abc' }) });
    const response = await channel.call(
      fetchMetadata,
      { streams: ['s'], groups: [] },
      {
        metadata: { own: '1' },
      },
    );
    expect(response.brokers[0]).toEqual({ id: 'a', host: 'h', port: 1, leaderCount: 2, partitionCount: 3 });
    const headers = peer.calls[0];
    expect(headers).toMatchObject({ ':path': '/proto.API/FetchMetadata', token: 'abc', own: '1' });
    expect(headers?.['grpc-timeout']).toMatch(/^\d+[mS]$/);
    expect(headers?.['user-agent']).toMatch(/^liftbridge-client-node\//);
  });

  it('sends large user data whole', async () => {
    const value = Buffer.from('v'.repeat(100_000));
    const received = deferred<PublishRequest>();
    const peer = await serving((request, stream) => {
      received.resolve(PublishRequest.decode(request));
      answer(stream, [
        Buffer.from(PublishResponse.encode({ ack: undefined, asyncError: undefined, correlationId: 'c' }).finish()),
      ]);
    });
    const request = PublishRequest.fromPartial({ value, stream: 's', correlationId: 'c' });
    expect((await channelTo(peer).call(publish, request)).correlationId).toBe('c');
    expect(Buffer.from((await received.promise).value).equals(value)).toBe(true);
  });

  it('rejects with the code and text of the server', async () => {
    const peer = await peerWith((stream) => answerTrailersOnly(stream, 6, 'stream %C3%BC exists'));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 6, codeName: 'ALREADY_EXISTS', details: 'stream ü exists', sent: true });
    expect(failure.connection).toBeUndefined();
  });

  it('rejects with DEADLINE_EXCEEDED when the server stays silent, and makes the next call', async () => {
    let calls = 0;
    const peer = await peerWith((stream) => {
      if (++calls > 1) answer(stream, [metadataAnswer]);
    });
    const channel = channelTo(peer);
    const failure = await failureOf(channel.call(fetchMetadata, everything, { timeout: 50 }));
    expect(failure).toMatchObject({ code: 4, sent: true });
    expect((await channel.call(fetchMetadata, everything)).brokers).toHaveLength(1);
  });

  it('rejects with the reason of an aborted signal, cancels on the server and takes its listener away', async () => {
    const called = deferred<ServerHttp2Stream>();
    const closed = deferred<number>();
    const peer = await peerWith((stream) => {
      stream.on('close', () => closed.resolve(stream.rstCode));
      called.resolve(stream);
    });
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = channelTo(peer).call(fetchMetadata, everything, { signal: controller.signal });
    await called.promise;
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect(await closed.promise).toBe(8);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('rejects with the reason of a signal that is aborted while connecting, or was before', async () => {
    const peer = opened(await RawPeer.start({}));
    const channel = channelTo(peer);
    const controller = new AbortController();
    const call = channel.call(fetchMetadata, everything, { signal: controller.signal });
    controller.abort('no more');
    await expect(call).rejects.toBe('no more');
    await expect(channel.call(fetchMetadata, everything, { signal: controller.signal })).rejects.toBe('no more');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('fails within connectTimeout when the peer takes the connection and stays silent, and leaves no socket', async () => {
    const peer = opened(await RawPeer.start({}));
    const channel = channelTo(peer, { connectTimeout: 50 });
    const [first, second] = await Promise.all([
      failureOf(channel.call(fetchMetadata, everything)),
      failureOf(channel.call(fetchMetadata, everything)),
    ]);
    expect(first).toMatchObject({ code: 14, connection: 'timeout', sent: false });
    expect(second.connection).toBe('timeout');
    expect(peer.connections).toHaveLength(1);
    await expect.poll(() => peer.open).toBe(0);
  });

  it('connects once', async () => {
    const peer = await serving((_, stream) => answer(stream, [metadataAnswer]));
    const channel = channelTo(peer);
    await Promise.all(Array.from({ length: 20 }, () => channel.call(fetchMetadata, everything)));
    expect(peer.accepted).toBe(1);
  });

  it.each([
    ['no message', []],
    ['more than one message', [metadataAnswer, metadataAnswer]],
  ])('rejects as UNIMPLEMENTED, as gRPC says, when the server answers %s', async (_, messages) => {
    const peer = await peerWith((stream) => answer(stream, messages));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 12, sent: true });
    expect(failure.details).toBe(`the server answered ${messages.length} messages to a unary call instead of one`);
  });

  it('rejects with the status of the server also when a message came before it', async () => {
    const peer = await peerWith((stream) => answer(stream, [metadataAnswer], 9, 'no'));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 9, details: 'no', sent: true });
  });

  it('rejects as INTERNAL when the response cannot be decoded', async () => {
    const peer = await peerWith((stream) => answer(stream, [Buffer.from([0x0a, 0xff])]));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 13, sent: true });
    expect(failure.cause).toBeInstanceOf(Error);
  });

  it('says that a call was not sent when the server refuses its stream', async () => {
    const peer = await peerWith((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 14, sent: false });
  });

  it('makes a call again on a new connection when a GOAWAY says that the server did not see it', async () => {
    let calls = 0;
    const peer = opened(
      await RawPeer.start({
        onConnection: (connection) => connection.settings(),
        onFrame: ({ type, streamId }, connection) => {
          if (type !== FrameType.HEADERS) return;
          if (++calls === 1) connection.goaway(0, 0);
          else
            connection.headers(
              streamId,
              { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '5' },
              true,
            );
        },
      }),
    );
    expect((await failureOf(channelTo(peer).call(fetchMetadata, everything))).code).toBe(5);
    expect(peer.connections).toHaveLength(2);
  });

  it('says that a call was not sent when GOAWAY refuses it again', async () => {
    const peer = opened(
      await RawPeer.start({
        onConnection: (connection) => connection.settings(),
        onFrame: ({ type }, connection) => type === FrameType.HEADERS && connection.goaway(0, 0),
      }),
    );
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 14, connection: 'lost', sent: false });
    expect(peer.connections).toHaveLength(2);
  });

  it('notices by a deadline that the peer has vanished, and makes the next call on a new connection', async () => {
    let calls = 0;
    const peer = opened(
      await RawPeer.start({
        onConnection: (connection) => connection.settings(),
        onFrame: ({ type, streamId }, connection) => {
          // The first call of a connection is answered, with NOT_FOUND; the first connection then falls silent.
          const first = type === FrameType.HEADERS && streamId === 1;
          if (first)
            connection.headers(1, { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '5' }, true);
          if (first) calls++;
        },
      }),
    );
    const channel = channelTo(peer);
    expect((await failureOf(channel.call(fetchMetadata, everything))).code).toBe(5);
    const [impatient, patient] = await Promise.all([
      failureOf(channel.call(fetchMetadata, everything, { timeout: 30 })),
      failureOf(channel.call(fetchMetadata, everything)),
    ]);
    expect(impatient).toMatchObject({ code: 4, sent: true });
    // Its own time is not up: it ends with the connection.
    expect(patient).toMatchObject({ code: 14, connection: 'lost', sent: true });
    expect((await failureOf(channel.call(fetchMetadata, everything))).code).toBe(5);
    expect(calls).toBe(2);
  });

  it('keeps the connection when only a call runs into its deadline', async () => {
    let calls = 0;
    const peer = await peerWith((stream) => {
      if (++calls !== 2) answer(stream, [metadataAnswer]);
    });
    const channel = channelTo(peer);
    await channel.call(fetchMetadata, everything);
    expect((await failureOf(channel.call(fetchMetadata, everything, { timeout: 30 }))).code).toBe(4);
    await channel.call(fetchMetadata, everything);
    expect(peer.accepted).toBe(1);
  });

  it('ends by the deadline of the call when that comes before connectTimeout', async () => {
    const peer = opened(await RawPeer.start({}));
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything, { timeout: 30 }));
    expect(failure).toMatchObject({ code: 4, sent: false });
  });

  it('connects again after the peer was away', async () => {
    let peer = await ScriptedPeer.start((stream) => answer(stream, [metadataAnswer]));
    const { host, port } = peer;
    const channel = channelTo(peer);
    await channel.call(fetchMetadata, everything);
    await peer.close();
    const attempt = async () => (await failureOf(channel.call(fetchMetadata, everything))).connection;
    await expect.poll(attempt).toBe('refused');
    peer = opened(await ScriptedPeer.start((stream) => answer(stream, [metadataAnswer]), undefined, {}, port));
    expect(peer.host).toBe(host);
    expect((await channel.call(fetchMetadata, everything)).brokers).toHaveLength(1);
  });

  it('numbers its connections upwards, so that a later one is told from an earlier one', async () => {
    const peer = await serving((_, stream) => answer(stream, [metadataAnswer]));
    const channel = channelTo(peer);
    expect([channel.newest, channel.connection]).toEqual([0, null]);
    await channel.call(fetchMetadata, everything);
    const first = channel.connection!;
    expect(first).toBeGreaterThan(0);
    expect(channel.newest).toBe(first);
    for (const socket of peer.sockets) socket.destroy();
    await expect.poll(() => channel.connection).toBeNull();
    await channel.call(fetchMetadata, everything);
    expect(channel.connection).toBeGreaterThan(first);
  });

  it('sends a call that is for one connection over no other one', async () => {
    let calls = 0;
    const script: CallScript = (stream) => {
      calls++;
      answer(stream, [metadataAnswer]);
    };
    const peer = await ScriptedPeer.start(script);
    const { port } = peer;
    const channel = channelTo(peer);
    expect(channel.connection).toBeNull();
    await channel.call(fetchMetadata, everything);
    const connection = channel.connection!;
    await channel.call(fetchMetadata, everything, { connection });
    await peer.close();
    await expect.poll(() => channel.connection).toBeNull();
    opened(await ScriptedPeer.start(script, undefined, {}, port));
    const refusal = { code: 14, connection: 'lost', sent: false };
    expect(await failureOf(channel.call(fetchMetadata, everything, { connection }))).toMatchObject(refusal);
    await channel.call(fetchMetadata, everything);
    expect(await failureOf(channel.call(fetchMetadata, everything, { connection }))).toMatchObject(refusal);
    expect(channel.connection).not.toBe(connection);
    expect(calls).toBe(3);
  });

  it('says that a call was sent and the connection lost when it breaks under the call', async () => {
    const peer = await peerWith((stream) => stream.session?.destroy());
    const failure = await failureOf(channelTo(peer).call(fetchMetadata, everything));
    expect(failure).toMatchObject({ code: 14, connection: 'lost', sent: true });
  });

  it('reads answers above 4 MiB, and refuses those above its own limit', async () => {
    const text = 'x'.repeat(5 << 20);
    const large = Buffer.from(
      PublishResponse.encode({ ack: undefined, asyncError: undefined, correlationId: text }).finish(),
    );
    const peer = await serving((_, stream) => answer(stream, [large]));
    const request = PublishRequest.fromPartial({});
    expect((await channelTo(peer).call(publish, request)).correlationId).toHaveLength(5 << 20);
    const small = channelTo(peer, { maxReceiveBytes: 1000 });
    expect((await failureOf(small.call(publish, request))).code).toBe(8);
  });

  it('rejects as UNAUTHENTICATED and unsent when the metadata cannot be sent', async () => {
    const peer = await peerWith((stream) => answer(stream, [metadataAnswer]));
    const channel = channelTo(peer, { callMetadata: () => Promise.reject(new Error('no token')) });
    expect(await failureOf(channel.call(fetchMetadata, everything))).toMatchObject({
      code: 16,
      sent: false,
    });
  });

  it('lets other calls continue when one of them runs into its deadline', async () => {
    const streams: ServerHttp2Stream[] = [];
    const peer = await peerWith((stream) => streams.push(stream));
    const channel = channelTo(peer);
    const patient = channel.call(fetchMetadata, everything);
    await expect.poll(() => streams.length).toBe(1);
    expect((await failureOf(channel.call(fetchMetadata, everything, { timeout: 30 }))).code).toBe(4);
    answer(streams[0]!, [metadataAnswer]);
    expect((await patient).brokers).toHaveLength(1);
  });

  it('ends running calls as closed on close()', async () => {
    const called = deferred<void>();
    const peer = await peerWith(() => called.resolve());
    const channel = channelTo(peer);
    const call = failureOf(channel.call(fetchMetadata, everything));
    await called.promise;
    await channel.close();
    expect(await call).toMatchObject({ code: 14, connection: 'closed', sent: true });
    await expect.poll(() => peer.sockets.size).toBe(0);
  });

  it('fails as closed after close(), and leaves no connection', async () => {
    const peer = await peerWith((stream) => answer(stream, [metadataAnswer]));
    const channel = channelTo(peer);
    await channel.call(fetchMetadata, everything);
    await channel.close();
    await channel.close();
    expect((await failureOf(channel.call(fetchMetadata, everything))).connection).toBe('closed');
    await expect.poll(() => peer.sockets.size).toBe(0);
  });
});
