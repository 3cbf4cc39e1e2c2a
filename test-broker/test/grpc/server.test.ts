import { connect } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { frame, wire } from 'liftbridge-client/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.js';
import { turns } from '../../../test/support/turns.js';
import { MovableClock } from '../../src/clock.js';
import type { GrpcServer, GrpcServerOptions } from '../../src/grpc/server.js';
import type { Method, StreamCall } from '../../src/grpc/service.js';
import { RpcError } from '../../src/grpc/status.js';
import {
  collect,
  connectRaw,
  echoMetadata,
  echoPublishes,
  foreignClient,
  openRaw,
  raw,
  startServer,
  unary,
} from './fixture.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(methods: Record<string, Method>, options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
  const server = await startServer(methods, options);
  cleanups.push(() => server.stop());
  return server;
}

// biome-ignore lint/suspicious/noExplicitAny: a client that is created at run time has no types
function client(server: GrpcServer): any {
  const made = foreignClient(server.address);
  cleanups.push(() => made.close());
  return made;
}

async function rawClient(server: GrpcServer) {
  const session = await connectRaw(server.address);
  cleanups.push(() => session.destroy());
  return session;
}

const failing = (error: unknown): Method => ({
  kind: 'unary',
  handle: () => {
    throw error;
  },
});
/** Node adds a symbol to received headers. */
const plain = (headers: object) => Object.fromEntries(Object.entries(headers));
const request = (streams: string[]) =>
  frame(wire.FetchMetadataRequest.encode(wire.FetchMetadataRequest.fromPartial({ streams })).finish());

describe('unary calls', () => {
  test('a grpc-js client receives the response', async () => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const answer = await unary(client(server), 'FetchMetadata', { streams: ['a', 'b'] });
    expect(answer.brokers.map((broker: { id: string }) => broker.id)).toEqual(['a', 'b']);
    await expect.poll(() => server.openCalls()).toBe(0);
  });

  test('a grpc-js client receives the code and text of an error, also non-ASCII text', async () => {
    const server = await serve({ FetchMetadata: failing(new RpcError('NOT_FOUND', 'no such stream: 100% grüße\n☃')) });
    await expect(unary(client(server), 'FetchMetadata', {})).rejects.toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: 'no such stream: 100% grüße\n☃',
    });
  });

  test('a response has the same wire format as that of grpc-go', async () => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const { headers, trailers, messages, rstCode } = await raw(
      await rawClient(server),
      '/proto.API/FetchMetadata',
      request(['a']),
    );
    expect(plain(headers)).toEqual({ ':status': 200, 'content-type': 'application/grpc' });
    expect(plain(trailers)).toEqual({ 'grpc-status': '0', 'grpc-message': '' });
    expect(messages).toHaveLength(1);
    expect(rstCode).toBe(0);
  });

  test('an error is a single block of headers on the wire', async () => {
    const server = await serve({ FetchMetadata: failing(new RpcError('INTERNAL', 'é%')) });
    const { headers, trailers } = await raw(await rawClient(server), '/proto.API/FetchMetadata', request([]));
    expect(plain(headers)).toEqual({
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': '13',
      'grpc-message': '%C3%A9%25',
    });
    expect(plain(trailers)).toEqual({});
  });

  test('an error without a status becomes UNKNOWN with its text, and a warning', async () => {
    const warnings: unknown[] = [];
    const server = await serve(
      { FetchMetadata: failing(new Error('nats: invalid subject')) },
      { onWarning: (message, error) => warnings.push([message, error]) },
    );
    await expect(unary(client(server), 'FetchMetadata', {})).rejects.toMatchObject({
      code: grpc.status.UNKNOWN,
      details: 'nats: invalid subject',
    });
    expect(warnings).toEqual([['FetchMetadata failed', new Error('nats: invalid subject')]]);
  });

  test.each([
    ['/proto.API/Nope', 'unknown method Nope for service proto.API'],
    ['/x.Y/Publish', 'unknown service x.Y'],
    ['/nothing', 'malformed method name: "/nothing"'],
  ])('%s is UNIMPLEMENTED', async (path, message) => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const { headers } = await raw(await rawClient(server), path, request([]));
    expect(headers).toMatchObject({ ':status': 200, 'grpc-status': '12', 'grpc-message': message });
  });

  test.each([
    [{ 'content-type': 'application/json' }, 415, '3', 'invalid gRPC request content-type "application/json"'],
    [{ ':method': 'PUT' }, 405, '13', 'Received a HEADERS frame with :method "PUT" which should be POST'],
    [
      { 'grpc-timeout': '18f6n' },
      400,
      '13',
      'malformed grpc-timeout: strconv.ParseUint: parsing "18f6": invalid syntax',
    ],
    [{ 'grpc-timeout': '5x' }, 400, '13', 'malformed grpc-timeout: transport: timeout unit is not recognized: "5x"'],
    [{ 'grpc-encoding': 'gzip' }, 200, '12', 'grpc: Decompressor is not installed for grpc-encoding "gzip"'],
  ])('headers %j are rejected with %d', async (headers, httpStatus, status, message) => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const answer = await raw(await rawClient(server), '/proto.API/FetchMetadata', request([]), headers);
    expect(plain(answer.headers)).toEqual({
      ':status': httpStatus,
      'content-type': 'application/grpc',
      'grpc-status': status,
      'grpc-message': message,
    });
  });

  test.each([
    ['application/grpc+proto', 'application/grpc+proto'],
    ['application/grpc;charset=utf-8', 'application/grpc+charset=utf-8'],
  ])('content type %s is accepted, and the response has %s', async (type, answered) => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const session = await rawClient(server);
    const answer = await raw(session, '/proto.API/FetchMetadata', request([]), { 'content-type': type });
    expect(answer.trailers['grpc-status']).toBe('0');
    expect(answer.headers['content-type']).toBe(answered);
    const refused = await raw(session, '/proto.API/Nope', request([]), { 'content-type': type });
    expect(refused.headers['content-type']).toBe(answered);
  });

  test.each([
    ['bytes that are no message', Buffer.from([0x0a, 0x7f])],
    ['a string that is not UTF-8', Buffer.from([0x0a, 2, 0xc3, 0x28])],
  ])('%s cannot be unmarshalled', async (_what, payload) => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const { headers } = await raw(await rawClient(server), '/proto.API/FetchMetadata', frame(payload));
    expect(headers['grpc-status']).toBe('13');
    expect(headers['grpc-message']).toMatch(/^grpc: error unmarshalling request: /);
  });

  test('a replacement character from the client is not an error', async () => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const answer = await unary(client(server), 'FetchMetadata', { streams: ['a\uFFFDb'] });
    expect(answer.brokers[0].id).toBe('a\uFFFDb');
  });

  test('a message above 4 MiB fails only its call, also repeatedly on one connection', async () => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const foreign = client(server);
    const large = { streams: ['x'.repeat(4_194_304)] };
    for (let i = 0; i < 20; i++) {
      await expect(unary(foreign, 'FetchMetadata', large)).rejects.toMatchObject({
        code: grpc.status.RESOURCE_EXHAUSTED,
        details: 'grpc: received message larger than max (4194309 vs. 4194304)',
      });
    }
    await expect(unary(foreign, 'FetchMetadata', { streams: ['x'.repeat(4_000_000)] })).resolves.toBeTruthy();
    await expect.poll(() => server.openCalls()).toBe(0);
    expect(server.connectionCount).toBe(1);
  });

  test('a call ends when its deadline passes on the clock of the broker', async () => {
    const clock = new MovableClock();
    cleanups.push(() => clock.stop());
    let deadline: number | null = null;
    let aborted: unknown;
    const slow: Method = {
      kind: 'unary',
      handle: (_payload, call) => {
        deadline = call.deadline;
        return new Promise((_resolve, reject) => {
          call.signal.addEventListener('abort', () => {
            aborted = call.signal.reason;
            reject(call.signal.reason);
          });
        });
      },
    };
    const server = await serve({ Publish: slow }, { clock });
    const before = Date.now();
    const stream = openRaw(await rawClient(server), '/proto.API/Publish', { 'grpc-timeout': '1M' });
    const answer = collect(stream);
    stream.end(frame(Buffer.alloc(0)));
    await expect.poll(() => deadline).not.toBeNull();
    expect(deadline).toBeGreaterThanOrEqual(before + 60_000);
    expect(deadline).toBeLessThanOrEqual(Date.now() + 60_000);
    await clock.advance(60_000);
    expect((await answer).headers).toMatchObject({ 'grpc-status': '4', 'grpc-message': 'context deadline exceeded' });
    expect(aborted).toMatchObject({ status: 'DEADLINE_EXCEEDED' });
  });

  test('a call without a deadline has no time limit', async () => {
    const deadlines: (number | null)[] = [];
    const server = await serve({
      FetchMetadata: {
        kind: 'unary',
        handle: (_payload, call) => {
          deadlines.push(call.deadline);
          return Buffer.alloc(0);
        },
      },
    });
    await unary(client(server), 'FetchMetadata', {});
    expect(deadlines).toEqual([null]);
  });

  test('a cancel by the client aborts the signal of the call', async () => {
    let call: StreamCall | undefined;
    const server = await serve({
      FetchMetadata: {
        kind: 'unary',
        handle: (_payload, given) => {
          call = given as StreamCall;
          return new Promise(() => {});
        },
      },
    });
    const pending = client(server).FetchMetadata({}, () => {});
    await expect.poll(() => call).toBeDefined();
    const aborted = new Promise((resolve) => call!.signal.addEventListener('abort', resolve));
    expect(server.openCalls('FetchMetadata')).toBe(1);
    pending.cancel();
    await aborted;
    await expect.poll(() => server.openCalls()).toBe(0);
  });
});

describe('streams from the server', () => {
  const message = (value: string) =>
    frame(wire.Message.encode(wire.Message.fromPartial({ value: Buffer.from(value) })).finish());

  test('messages arrive in order, then the status', async () => {
    const server = await serve({
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          for (let i = 0; i < 1_000; i++) call.write(message(String(i)));
          throw new RpcError('RESOURCE_EXHAUSTED', 'Stop offset reached');
        },
      },
    });
    const values: string[] = [];
    const subscription = client(server).Subscribe({});
    subscription.on('data', (data: { value: Buffer }) => values.push(data.value.toString()));
    const error = await new Promise((resolve) => subscription.on('error', resolve));
    expect(values).toEqual(Array.from({ length: 1_000 }, (_, i) => String(i)));
    expect(error).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'Stop offset reached' });
  });

  test('sendHeaders sends the headers before the first message', async () => {
    const server = await serve({
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          call.sendHeaders();
          await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        },
      },
    });
    const stream = openRaw(await rawClient(server), '/proto.API/Subscribe');
    stream.end(frame(Buffer.alloc(0)));
    const headers = await new Promise((resolve) => stream.on('response', resolve));
    expect(headers).toMatchObject({ ':status': 200 });
    expect(server.openCalls('Subscribe')).toBe(1);
  });

  test('write returns false while the client does not read, and drained resolves when it reads again', async () => {
    const slice = Buffer.concat(Array.from({ length: 64 }, () => message('x'.repeat(1_000))));
    let written = 0;
    let stopped = 0;
    const server = await serve({
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          for (let i = 0; i < 200; i++) {
            written += slice.length;
            if (call.write(slice)) continue;
            stopped++;
            await call.drained();
          }
        },
      },
    });
    const session = await rawClient(server);
    const stream = openRaw(session, '/proto.API/Subscribe');
    stream.end(frame(Buffer.alloc(0)));
    await new Promise((resolve) => stream.on('response', resolve));
    await expect.poll(() => stopped).toBeGreaterThan(0);
    await eventually('the server stops writing', async () => {
      const before = written;
      await turns();
      return written === before;
    });
    expect(written).toBeLessThan(1_000_000);
    const { messages, trailers } = await collect(stream);
    expect(messages).toHaveLength(200 * 64);
    expect(trailers['grpc-status']).toBe('0');
  });

  test('drained resolves when the client disconnects', async () => {
    let done = () => {};
    const over = new Promise<void>((resolve) => {
      done = resolve;
    });
    const server = await serve({
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          while (call.write(message('x'.repeat(10_000))));
          await call.drained();
          done();
        },
      },
    });
    const session = await rawClient(server);
    const stream = openRaw(session, '/proto.API/Subscribe');
    stream.on('error', () => {});
    stream.end(frame(Buffer.alloc(0)));
    await new Promise((resolve) => stream.on('response', resolve));
    session.destroy();
    await over;
    await expect.poll(() => server.openCalls('Subscribe')).toBe(0);
  });

  test('one connection carries 10,000 idle streams, and all can be cancelled at once', async () => {
    const server = await serve({
      Subscribe: {
        kind: 'server-stream',
        handle: async (_payload, call) => {
          call.sendHeaders();
          await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        },
      },
    });
    const session = await rawClient(server);
    const streams = Array.from({ length: 10_000 }, () => {
      const stream = openRaw(session, '/proto.API/Subscribe');
      stream.end(frame(Buffer.alloc(0)));
      return stream;
    });
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.on('response', resolve))));
    expect(server.openCalls('Subscribe')).toBe(10_000);
    session.destroy();
    await expect.poll(() => server.openCalls('Subscribe')).toBe(0);
  });
});

describe('streams in both directions', () => {
  test('a grpc-js client receives a response to each message', async () => {
    const server = await serve({ PublishAsync: echoPublishes });
    const call = client(server).PublishAsync();
    const answers: string[] = [];
    call.on('data', (data: { correlationId: string }) => answers.push(data.correlationId));
    for (let i = 0; i < 500; i++) call.write({ correlationId: String(i) });
    call.end();
    const status = await new Promise((resolve) => call.on('status', resolve));
    expect(status).toMatchObject({ code: grpc.status.OK });
    expect(answers).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  test('the handler receives the messages of a chunk together, and the next chunk after its promise resolves', async () => {
    const batches: number[] = [];
    let release = () => {};
    const server = await serve({
      PublishAsync: {
        kind: 'duplex',
        handle: async (call) => {
          call.onMessages((payloads) => {
            batches.push(payloads.length);
            return new Promise<void>((resolve) => {
              release = resolve;
            });
          });
          await call.received;
        },
      },
    });
    const stream = openRaw(await rawClient(server), '/proto.API/PublishAsync');
    const answer = collect(stream);
    stream.write(Buffer.concat([frame(Buffer.from('a')), frame(Buffer.from('b')), frame(Buffer.from('c'))]));
    await expect.poll(() => batches).toEqual([3]);
    stream.end(frame(Buffer.from('d')));
    await turns();
    expect(batches).toEqual([3]);
    release();
    await expect.poll(() => batches).toEqual([3, 1]);
    release();
    expect((await answer).headers['grpc-status']).toBe('0');
  });

  test('a message above the limit ends the call after the responses to earlier messages', async () => {
    const server = await serve({ PublishAsync: echoPublishes });
    const stream = openRaw(await rawClient(server), '/proto.API/PublishAsync');
    const answer = collect(stream);
    const small = wire.PublishRequest.encode(wire.PublishRequest.fromPartial({ correlationId: '1' })).finish();
    const header = Buffer.from([0, 0, 0x50, 0, 0]);
    stream.write(Buffer.concat([frame(small), header]));
    const { messages, trailers } = await answer;
    expect(messages).toHaveLength(1);
    expect(trailers).toMatchObject({
      'grpc-status': '8',
      'grpc-message': 'grpc: received message larger than max (5242880 vs. 4194304)',
    });
  });

  test('a handler that throws on a message fails the call', async () => {
    const server = await serve({
      PublishAsync: {
        kind: 'duplex',
        handle: async (call) => {
          call.onMessages(() => {
            throw new RpcError('INTERNAL', 'broken');
          });
          await call.received;
        },
      },
    });
    const call = client(server).PublishAsync();
    call.write({ correlationId: '1' });
    const status = await new Promise((resolve) => call.on('error', resolve));
    expect(status).toMatchObject({ code: grpc.status.INTERNAL, details: 'broken' });
  });
});

describe('GrpcServer', () => {
  test('start rejects with EADDRINUSE when the port is in use', async () => {
    const server = await serve({});
    await expect(startServer({}, { port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('stop cuts every call and releases the port at once', async () => {
    const server = await serve({ PublishAsync: echoPublishes });
    const stream = openRaw(await rawClient(server), '/proto.API/PublishAsync');
    stream.on('error', () => {});
    stream.write(frame(Buffer.alloc(0)));
    await new Promise((resolve) => stream.on('data', resolve));
    const closed = new Promise((resolve) => stream.on('close', resolve));
    await server.stop();
    await closed;
    expect(server.openCalls()).toBe(0);
    expect(server.connectionCount).toBe(0);
    const again = await serve({ FetchMetadata: echoMetadata }, { port: server.port });
    await expect(unary(client(again), 'FetchMetadata', {})).resolves.toBeTruthy();
  });

  test('a graceful close lets a unary call finish and ends streams with UNAVAILABLE', async () => {
    let answer: (payload: Buffer) => void = () => {};
    const server = await serve({
      PublishAsync: echoPublishes,
      Publish: {
        kind: 'unary',
        handle: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
      },
    });
    const foreign = client(server);
    const published = unary(foreign, 'Publish', {});
    const stream = foreign.PublishAsync();
    const ended = new Promise((resolve) => stream.on('error', resolve));
    await expect.poll(() => server.openCalls()).toBe(2);
    const closed = server.close();
    expect(await ended).toMatchObject({ code: grpc.status.UNAVAILABLE });
    answer(Buffer.alloc(0));
    await expect(published).resolves.toBeTruthy();
    await closed;
  });

  test('a client that does not speak HTTP/2 is disconnected, and others are still served', async () => {
    const server = await serve({ FetchMetadata: echoMetadata });
    const socket = connect(server.port, '127.0.0.1');
    socket.end('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await new Promise((resolve) => socket.on('close', resolve));
    await expect(unary(client(server), 'FetchMetadata', {})).resolves.toBeTruthy();
  });
});
