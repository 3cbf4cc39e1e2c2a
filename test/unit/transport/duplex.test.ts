import { constants, type ServerHttp2Stream } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { monotonicNow } from '../../../src/async/clock.js';
import { DataSession, type DataSessionOptions } from '../../../src/transport/duplex.js';
import type { DuplexStream } from '../../../src/transport/duplex-stream.js';
import { frame } from '../../../src/transport/frames.js';
import { deferred } from '../../support/deferred.js';
import { FrameType, type RawConnection, RawPeer } from '../../support/raw-peer.js';
import {
  answer,
  answerTrailersOnly,
  type CallScript,
  echo,
  GRPC_HEADERS,
  ScriptedPeer,
} from '../../support/scripted-peer.js';

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function peerWith(script: CallScript): Promise<ScriptedPeer> {
  const peer = await ScriptedPeer.start(script);
  open.push(peer);
  return peer;
}

async function rawPeer(script: Parameters<typeof RawPeer.start>[0]): Promise<RawPeer> {
  const peer = await RawPeer.start(script);
  open.push(peer);
  return peer;
}

async function sessionTo(
  peer: { host: string; port: number },
  options: Partial<DataSessionOptions> = {},
): Promise<DataSession> {
  const session = new DataSession({ host: peer.host, port: peer.port, ...options });
  open.push(session);
  await session.connect();
  return session;
}

/** Every message of a stream, as text. */
function collect(stream: DuplexStream): string[] {
  const messages: string[] = [];
  stream.onFrames((source, start, end) => messages.push(source.toString('utf8', start, end)));
  return messages;
}

/** A peer on raw frames that calls `onRequest` with the id of each stream that is opened. */
function rawCalls(onRequest: (connection: RawConnection, streamId: number) => void): Promise<RawPeer> {
  return rawPeer({
    onConnection: (connection) => connection.settings(),
    onFrame: (received, connection) => {
      if (received.type === FrameType.HEADERS) onRequest(connection, received.streamId);
    },
  });
}

const RAW_HEADERS = { ':status': '200', 'content-type': 'application/grpc' };

describe('DuplexStream', () => {
  it('sends the request headers that gRPC asks for', async () => {
    const peer = await peerWith((stream) => answerTrailersOnly(stream, 0));
    const session = await sessionTo(peer, { callMetadata: { 'X-Token': 'abc', 'trace-bin': '\u0001ü' } });
    await session.open('/proto.API/Subscribe', { timeout: 60_000 }).ended;
    const [headers] = peer.calls;
    expect(headers).toMatchObject({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': '/proto.API/Subscribe',
      ':authority': `127.0.0.1:${peer.port}`,
      te: 'trailers',
      'content-type': 'application/grpc',
      'x-token': 'abc',
      'trace-bin': Buffer.from('\u0001ü').toString('base64'),
    });
    expect(headers?.['user-agent']).toMatch(/^liftbridge-client-node\/\d/);
    expect(Number(/^(\d+)m$/.exec(String(headers?.['grpc-timeout']))?.[1])).toBeGreaterThan(50_000);
  });

  it('echoes messages in order and ends with the status of the server', async () => {
    const session = await sessionTo(await peerWith(echo));
    const stream = session.open('/x');
    const messages = collect(stream);
    const sent = Array.from({ length: 1000 }, (_, i) => `message ${i}`);
    for (const text of sent) stream.write((writer) => writer.raw(Buffer.from(text)));
    stream.send(Buffer.from('last'));
    stream.halfClose();
    expect(await stream.ended).toMatchObject({ code: 0, transport: false, processed: true });
    expect(messages).toEqual([...sent, 'last']);
  });

  it('carries messages larger than any window both ways', async () => {
    const session = await sessionTo(await peerWith(echo));
    const stream = session.open('/x');
    const sizes: number[] = [];
    stream.onFrames((source, start, end) => sizes.push(end - start, source[end - 1]!));
    stream.write((writer) => writer.raw(Buffer.alloc(3 << 20, 5)));
    stream.send(Buffer.alloc(4 << 20, 6));
    stream.halfClose();
    expect((await stream.ended).code).toBe(0);
    expect(sizes).toEqual([3 << 20, 5, 4 << 20, 6]);
  });

  it('packs the messages of a tick, and of the microtasks after it, into one DATA frame', async () => {
    const frames: Buffer[] = [];
    const peer = await rawPeer({
      onConnection: (connection) => connection.settings(),
      onFrame: ({ type, streamId, payload }, connection) => {
        if (type !== FrameType.DATA) return;
        frames.push(payload);
        connection.headers(streamId, { ...RAW_HEADERS, 'grpc-status': '0' }, true);
      },
    });
    const stream = (await sessionTo(peer)).open('/x');
    stream.write((writer) => writer.raw(Buffer.from('a')));
    await Promise.resolve();
    stream.write((writer) => writer.raw(Buffer.from('b')));
    await stream.ended;
    expect(frames).toEqual([Buffer.concat([frame(Buffer.from('a')), frame(Buffer.from('b'))])]);
  });

  it('leaves out a message whose encoder throws, and keeps those around it', async () => {
    const stream = (await sessionTo(await peerWith(echo))).open('/x');
    const messages = collect(stream);
    stream.write((writer) => writer.raw(Buffer.from('before')));
    expect(() =>
      stream.write((writer) => {
        writer.raw(Buffer.from('half'));
        throw new RangeError('no');
      }),
    ).toThrow(RangeError);
    stream.write((writer) => writer.raw(Buffer.from('after')));
    stream.halfClose();
    expect((await stream.ended).code).toBe(0);
    expect(messages).toEqual(['before', 'after']);
  });

  it('reads a trailers-only answer, also when no handler reads messages', async () => {
    const peer = await peerWith((stream) => answerTrailersOnly(stream, 5, 'no such stream %C3%BC %25 %zz'));
    const end = await (await sessionTo(peer)).open('/x').ended;
    expect(end).toMatchObject({
      code: 5,
      codeName: 'NOT_FOUND',
      message: 'no such stream ü % %zz',
      transport: false,
      processed: true,
    });
  });

  it('reads messages and then the status in the trailers', async () => {
    const peer = await peerWith((stream) => answer(stream, [Buffer.from('one'), Buffer.from('')], 9, 'paused'));
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    const end = await stream.ended;
    expect(messages).toEqual(['one', '']);
    expect(end).toMatchObject({ code: 9, message: 'paused', transport: false });
    expect(end.headers.get('content-type')).toBe('application/grpc');
    expect(end.trailers.get('grpc-message')).toBe('paused');
  });

  it('reads frames that are split at every byte', async () => {
    const peer = await rawCalls((connection, id) => {
      connection.headers(id, RAW_HEADERS);
      const bytes = Buffer.concat(['first', '', 'third'].map((text) => frame(Buffer.from(text))));
      for (const byte of bytes) connection.data(id, Buffer.of(byte));
      connection.headers(id, { 'grpc-status': '0' }, true);
    });
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    expect((await stream.ended).code).toBe(0);
    expect(messages).toEqual(['first', '', 'third']);
  });

  it('tells since when a message is incomplete, and null between two messages', async () => {
    let connection: RawConnection | undefined;
    let id = 0;
    const peer = await rawCalls((raw, streamId) => {
      [connection, id] = [raw, streamId];
      raw.headers(id, RAW_HEADERS);
    });
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    await expect.poll(() => connection).toBeDefined();
    expect(stream.midMessageSince).toBeNull();
    const before = monotonicNow();
    const bytes = frame(Buffer.from('first'));
    connection!.data(id, bytes.subarray(0, 3));
    await expect.poll(() => stream.midMessageSince).not.toBeNull();
    const since = stream.midMessageSince!;
    expect(since).toBeGreaterThanOrEqual(before);
    connection!.data(id, bytes.subarray(3, 7));
    connection!.data(id, Buffer.concat([bytes.subarray(7), frame(Buffer.from('second')).subarray(0, 6)]));
    await expect.poll(() => messages).toEqual(['first']);
    expect(stream.midMessageSince).toBeGreaterThan(since);
    connection!.data(id, frame(Buffer.from('second')).subarray(6));
    await expect.poll(() => messages).toEqual(['first', 'second']);
    expect(stream.midMessageSince).toBeNull();
  });

  it('calls onBatch once for the messages of a chunk', async () => {
    const peer = await peerWith((stream) => answer(stream, [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]));
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    const batches: number[] = [];
    stream.onBatch(() => batches.push(messages.length));
    await stream.ended;
    expect(batches).toEqual([3]);
  });

  it.each([
    ['a compressed message', Buffer.from([1, 0, 0, 0, 1, 7]), 13, /compressed/],
    ['an oversized length prefix', Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 7]), 8, /larger than the maximum/],
  ])('refuses %s', async (_, bytes, code, text) => {
    const closed = deferred<number>();
    const peer = await peerWith((stream) => {
      stream.respond(GRPC_HEADERS);
      stream.on('close', () => closed.resolve(stream.rstCode));
      stream.write(bytes);
    });
    const stream = (await sessionTo(peer)).open('/x');
    collect(stream);
    const end = await stream.ended;
    expect(end).toMatchObject({ code, transport: true, processed: true });
    expect(end.message).toMatch(text);
    expect(await closed.promise).toBe(constants.NGHTTP2_CANCEL);
  });

  it('honours the maximum of the stream before that of the session', async () => {
    const peer = await peerWith((stream) => answer(stream, [Buffer.alloc(100)]));
    const session = await sessionTo(peer, { maxReceiveBytes: 1000 });
    const small = session.open('/x', { maxMessageBytes: 99 });
    const large = session.open('/x');
    collect(small);
    collect(large);
    expect((await small.ended).code).toBe(8);
    expect((await large.ended).code).toBe(0);
  });

  it.each([
    ['HTTP 503', { ':status': 503, 'content-type': 'text/html' }, 14],
    ['HTTP 404', { ':status': 404 }, 12],
    ['HTTP 401', { ':status': 401 }, 16],
    ['HTTP 403', { ':status': 403 }, 7],
    ['HTTP 418', { ':status': 418 }, 2],
    ['a wrong content type', { ':status': 200, 'content-type': 'text/html' }, 2],
    ['application/grpc-web', { ':status': 200, 'content-type': 'application/grpc-web' }, 2],
  ])('refuses an answer with %s', async (_, headers, code) => {
    const peer = await peerWith((stream) => {
      stream.respond(headers);
      stream.end('<html>');
    });
    const stream = (await sessionTo(peer)).open('/x');
    collect(stream);
    expect(await stream.ended).toMatchObject({ code, transport: true, processed: true });
  });

  it('accepts application/grpc+proto as gRPC', async () => {
    const peer = await peerWith((stream) =>
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-status': '0' },
        { endStream: true },
      ),
    );
    expect((await (await sessionTo(peer)).open('/x').ended).code).toBe(0);
  });

  it('ends as INTERNAL when the server ends without trailers', async () => {
    const peer = await peerWith((stream) => {
      stream.respond(GRPC_HEADERS);
      stream.end(frame(Buffer.from('x')));
    });
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    const end = await stream.ended;
    expect(messages).toEqual(['x']);
    expect(end).toMatchObject({ code: 13, transport: true });
    expect(end.message).toMatch(/without trailers/);
  });

  it('ends as INTERNAL when an OK stream stops inside a message', async () => {
    const peer = await peerWith((stream) => {
      stream.respond(GRPC_HEADERS, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 9, 1, 2]));
    });
    const stream = (await sessionTo(peer)).open('/x');
    collect(stream);
    const end = await stream.ended;
    expect(end).toMatchObject({ code: 13, transport: true });
    expect(end.message).toMatch(/7 bytes into a message/);
  });

  it('treats a status that is no number as UNKNOWN', async () => {
    const peer = await peerWith((stream) =>
      stream.respond({ ...GRPC_HEADERS, 'grpc-status': 'x' }, { endStream: true }),
    );
    expect(await (await sessionTo(peer)).open('/x').ended).toMatchObject({ code: 2, transport: false });
  });

  it.each([
    ['PROTOCOL_ERROR', 1, 13],
    ['INTERNAL_ERROR', 2, 13],
    ['FLOW_CONTROL_ERROR', 3, 13],
    ['SETTINGS_TIMEOUT', 4, 13],
    ['FRAME_SIZE_ERROR', 6, 13],
    ['REFUSED_STREAM', 7, 14],
    ['CANCEL', 8, 1],
    ['COMPRESSION_ERROR', 9, 13],
    ['CONNECT_ERROR', 10, 13],
    ['ENHANCE_YOUR_CALM', 11, 8],
    ['INADEQUATE_SECURITY', 12, 7],
  ])('maps RST_STREAM %s to its gRPC code', async (name, reset, code) => {
    const peer = await rawCalls((connection, id) => connection.reset(id, reset));
    const stream = (await sessionTo(peer)).open('/x');
    collect(stream);
    const end = await stream.ended;
    expect(end).toMatchObject({ code, transport: true, processed: reset !== 7 });
    expect(end.message).toContain(name);
  });

  it('treats RST_STREAM NO_ERROR without trailers as INTERNAL', async () => {
    const peer = await rawCalls((connection, id) => connection.reset(id, 0));
    expect(await (await sessionTo(peer)).open('/x').ended).toMatchObject({ code: 13, transport: true });
  });

  it('trusts the trailers when RST_STREAM NO_ERROR follows them', async () => {
    const peer = await rawCalls((connection, id) => {
      connection.headers(id, RAW_HEADERS);
      connection.data(id, frame(Buffer.from('x')));
      connection.headers(id, { 'grpc-status': '5' }, true);
      connection.reset(id, 0);
    });
    const stream = (await sessionTo(peer)).open('/x');
    const messages = collect(stream);
    expect(await stream.ended).toMatchObject({ code: 5, transport: false });
    expect(messages).toEqual(['x']);
  });

  it('ends as INTERNAL when a message handler throws', async () => {
    const peer = await peerWith((stream) => answer(stream, [Buffer.from('x')]));
    const stream = (await sessionTo(peer)).open('/x');
    stream.onFrames(() => {
      throw new RangeError('bad message');
    });
    const end = await stream.ended;
    expect(end).toMatchObject({ code: 13, transport: true });
    expect(end.message).toContain('bad message');
  });

  it('enforces the deadline here when the server does not', async () => {
    const closed = deferred<number>();
    const peer = await peerWith((stream) => stream.on('close', () => closed.resolve(stream.rstCode)));
    const stream = (await sessionTo(peer)).open('/x', { timeout: 30 });
    expect(await stream.ended).toMatchObject({ code: 4, transport: true, processed: true });
    expect(await closed.promise).toBe(constants.NGHTTP2_CANCEL);
  });

  it('ends at once, unsent, when its deadline has passed or its signal was aborted before', async () => {
    const peer = await peerWith(echo);
    const session = await sessionTo(peer);
    const late = await session.open('/x', { deadline: monotonicNow() - 1 }).ended;
    expect(late).toMatchObject({ code: 4, processed: false });
    const aborted = await session.open('/x', { signal: AbortSignal.abort(new Error('stop')) }).ended;
    expect(aborted).toMatchObject({ code: 1, message: 'stop', processed: false });
    expect(peer.calls).toEqual([]);
  });

  it('cancels on the server when its signal is aborted, and delivers nothing after that', async () => {
    const closed = deferred<number>();
    let call: ServerHttp2Stream | undefined;
    const peer = await peerWith((stream) => {
      call = stream;
      stream.respond(GRPC_HEADERS);
      stream.write(frame(Buffer.from('x')));
      stream.on('close', () => closed.resolve(stream.rstCode));
    });
    const controller = new AbortController();
    const stream = (await sessionTo(peer)).open('/x', { signal: controller.signal });
    const messages: string[] = [];
    stream.onFrames((source, start, end) => {
      messages.push(source.toString('utf8', start, end));
      controller.abort(new Error('enough'));
      call?.write(frame(Buffer.from('y')));
    });
    expect(await stream.ended).toMatchObject({ code: 1, message: 'enough', transport: true });
    expect(await closed.promise).toBe(constants.NGHTTP2_CANCEL);
    expect(messages).toEqual(['x']);
  });

  it('drops what is written after the end, and drained() resolves', async () => {
    const peer = await peerWith((stream) => answerTrailersOnly(stream, 0));
    const stream = (await sessionTo(peer)).open('/x');
    await stream.ended;
    stream.write((writer) => writer.byte(1));
    stream.send(Buffer.from('x'));
    expect(stream.writable).toBe(false);
    expect(stream.pendingBytes).toBe(0);
    await stream.drained();
  });
});
