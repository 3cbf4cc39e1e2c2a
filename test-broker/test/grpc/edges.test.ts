// Responses in edge cases of gRPC, as a real server with grpc-go 1.77 sends them.
import { randomBytes } from 'node:crypto';
import * as http2 from 'node:http2';
import fc from 'fast-check';
import { frame, wire } from 'liftbridge-client/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binaryMetadataFault } from '../../src/grpc/binary-metadata.js';
import { decodeRequest } from '../../src/grpc/decode-request.js';
import { goQuote } from '../../src/grpc/go-quote.js';
import { HEALTH_SERVICE, Health } from '../../src/grpc/health.js';
import { GrpcServer } from '../../src/grpc/server.js';
import type { Method } from '../../src/grpc/service.js';
import { collect, echoMetadata, healthClient, openRaw, type RawAnswer, raw, unary } from './fixture.js';

const request = (streams: string[]) =>
  frame(wire.FetchMetadataRequest.encode(wire.FetchMetadataRequest.fromPartial({ streams })).finish());
const one = request(['a']);
const undecodable = frame(Buffer.from([0x0a, 5, 1]));
const halfPrefix = Buffer.from([0, 0, 0]);
const halfBody = one.subarray(0, one.length - 1);
const flagged = (flag: number) => Buffer.from([flag, 0, 0, 0, 0]);

/** Ends each call as soon as it receives the request. */
const subscribe: Method = {
  kind: 'server-stream',
  check: (payload) => void decodeRequest(wire.FetchMetadataRequest, payload),
  handle: async (payload, call) => {
    call.write(frame(payload));
  },
};

/** Decodes each message and sends no response. */
const publish: Method = {
  kind: 'duplex',
  handle: async (call) => {
    call.onMessages((payloads) => {
      for (const payload of payloads) decodeRequest(wire.FetchMetadataRequest, payload);
    });
    await call.received;
  },
};

let server: GrpcServer;
let session: http2.ClientHttp2Session;
const health = new Health();

beforeAll(async () => {
  const methods = { FetchMetadata: echoMetadata, Subscribe: subscribe, PublishAsync: publish };
  const services = new Map([
    ['proto.API', new Map(Object.entries(methods))],
    [HEALTH_SERVICE, health.methods],
  ]);
  server = await GrpcServer.start({ port: 0, services });
  session = http2.connect(`http://${server.address}`);
});
afterAll(async () => {
  session.destroy();
  await server.stop();
});

/** Status and text at the end of a response. */
function ending({ headers, trailers }: RawAnswer): [status: unknown, message: unknown] {
  const last = 'grpc-status' in trailers ? trailers : headers;
  return [last['grpc-status'], last['grpc-message']];
}

const UNARY = '/proto.API/FetchMetadata';
const STREAM = '/proto.API/Subscribe';
const DUPLEX = '/proto.API/PublishAsync';
const NO_REQUEST = 'cardinality violation: received no request message from non-client-streaming RPC';
const SECOND = 'cardinality violation: received multiple request messages for non-client-streaming RPC';
const UNARY_GARBAGE = 'grpc: error unmarshalling request: proto: cannot parse invalid wire-format data';
const STREAM_GARBAGE = 'grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data';
const TOO_LARGE = 'grpc: received message larger than max (2130706432 vs. 4194304)';
const COMPRESSED = 'grpc: compressed flag set with identity or empty encoding';

describe('the messages of a request', () => {
  test.each<[string, string, Buffer[], string, string]>([
    ['a unary call without a message', UNARY, [], '2', 'EOF'],
    ['a unary call with half a prefix', UNARY, [halfPrefix], '2', 'EOF'],
    ['a unary call with half a message', UNARY, [halfBody], '2', 'unexpected EOF'],
    ['a unary call with two messages', UNARY, [one, one], '0', ''],
    ['a unary call with a message and a half', UNARY, [one, halfBody], '0', ''],
    ['a unary call with a message and garbage', UNARY, [one, flagged(2)], '0', ''],
    ['a unary call with garbage', UNARY, [undecodable], '13', UNARY_GARBAGE],
    ['a unary call with a compressed message', UNARY, [flagged(1)], '13', COMPRESSED],
    ['a unary call with flag 2', UNARY, [flagged(2)], '13', 'grpc: received unexpected payload format 2'],
    ['a unary call with flag 255', UNARY, [flagged(255)], '13', 'grpc: received unexpected payload format 255'],
    ['a unary call that is too large', UNARY, [Buffer.from([0, 0x7f, 0, 0, 0])], '8', TOO_LARGE],
    ['a stream without a message', STREAM, [], '13', NO_REQUEST],
    ['a stream with half a prefix', STREAM, [halfPrefix], '13', NO_REQUEST],
    ['a stream with half a message', STREAM, [halfBody], '13', 'unexpected EOF'],
    ['a stream with one message', STREAM, [one], '0', ''],
    ['a stream with a message and half a prefix', STREAM, [one, halfPrefix], '0', ''],
    ['a stream with a message and a half', STREAM, [one, halfBody], '13', 'unexpected EOF'],
    ['a stream with two messages', STREAM, [one, one], '13', SECOND],
    ['a stream with a message and garbage', STREAM, [one, undecodable], '13', STREAM_GARBAGE],
    [
      'a stream with a message and flag 2',
      STREAM,
      [one, flagged(2)],
      '13',
      'grpc: received unexpected payload format 2',
    ],
    ['a stream with garbage', STREAM, [undecodable], '13', STREAM_GARBAGE],
    ['a publish stream without a message', DUPLEX, [], '0', ''],
    ['a publish stream with half a prefix', DUPLEX, [halfPrefix], '0', ''],
    ['a publish stream with half a message', DUPLEX, [halfBody], '13', 'unexpected EOF'],
    ['a publish stream with garbage', DUPLEX, [undecodable], '13', STREAM_GARBAGE],
    ['a publish stream with a compressed message', DUPLEX, [flagged(1)], '13', COMPRESSED],
    ['a health watch without a message', `/${HEALTH_SERVICE}/Watch`, [], '13', NO_REQUEST],
    [
      'a health watch with two messages',
      `/${HEALTH_SERVICE}/Watch`,
      [frame(Buffer.alloc(0)), frame(Buffer.alloc(0))],
      '13',
      SECOND,
    ],
  ])('%s', async (_, path, chunks, status, message) => {
    const whole = await raw(session, path, Buffer.concat(chunks));
    expect(ending(whole)).toEqual([status, message]);
    // The same in chunks of one byte each.
    const stream = openRaw(session, path);
    const answer = collect(stream);
    for (const byte of Buffer.concat(chunks)) if (!stream.destroyed) stream.write(Buffer.of(byte));
    stream.end();
    expect(ending(await answer)).toEqual([status, message]);
  });

  test('a stream is served only after the client has half-closed', async () => {
    const stream = openRaw(session, STREAM);
    const answer = collect(stream);
    let answered = false;
    stream.once('response', () => {
      answered = true;
    });
    stream.write(one);
    // Meanwhile another call on the same connection completes.
    expect(ending(await raw(session, UNARY, one))).toEqual(['0', '']);
    expect(answered).toBe(false);
    stream.end();
    expect(ending(await answer)).toEqual(['0', '']);
  });

  test('a second message ends a stream that is not half-closed', async () => {
    const stream = openRaw(session, STREAM);
    const answer = collect(stream);
    stream.write(Buffer.concat([one, one]));
    expect(ending(await answer)).toEqual(['13', SECOND]);
  });
});

describe('the headers of a request', () => {
  const EXPIRED = 'context deadline exceeded';

  test.each<[string, string, http2.OutgoingHttpHeaders, number, string, string]>([
    ['a timeout of 0m', UNARY, { 'grpc-timeout': '0m' }, 200, '4', EXPIRED],
    ['a timeout of 0n', STREAM, { 'grpc-timeout': '0n' }, 200, '4', EXPIRED],
    ['a timeout of 1n', DUPLEX, { 'grpc-timeout': '1n' }, 200, '4', EXPIRED],
    ['a timeout of 0 for an unknown method', '/proto.API/Nope', { 'grpc-timeout': '00000000H' }, 200, '4', EXPIRED],
    ['a timeout of 0 for a malformed method', '/nope', { 'grpc-timeout': '0S' }, 200, '4', EXPIRED],
    ['a timeout of 0 with an encoding', UNARY, { 'grpc-timeout': '0S', 'grpc-encoding': 'x' }, 200, '4', EXPIRED],
    [
      'a timeout of 0 with another verb',
      UNARY,
      { 'grpc-timeout': '0S', ':method': 'PUT' },
      405,
      '13',
      'Received a HEADERS frame with :method "PUT" which should be POST',
    ],
    [
      'a timeout that is malformed, before binary metadata',
      UNARY,
      { 'grpc-timeout': 'x', 'x-bin': '!!' },
      400,
      '13',
      'malformed binary metadata "!!" in header "x-bin": illegal base64 data at input byte 0',
    ],
    [
      'a timeout that is malformed, after binary metadata',
      UNARY,
      { 'x-bin': '!!', 'grpc-timeout': 'x' },
      400,
      '13',
      'malformed grpc-timeout: transport: timeout string is too short: "x"',
    ],
    [
      'malformed binary metadata with another verb',
      UNARY,
      { 'x-bin': 'A', ':method': 'PUT' },
      400,
      '13',
      'malformed binary metadata "A" in header "x-bin": illegal base64 data at input byte 0',
    ],
    [
      'the second of two values of binary metadata',
      UNARY,
      { 'x-bin': ['AQ==', 'A-_B'] },
      400,
      '13',
      'malformed binary metadata "A-_B" in header "x-bin": illegal base64 data at input byte 1',
    ],
    [
      'malformed binary metadata of a reserved name',
      UNARY,
      { 'grpc-trace-bin': 'é' },
      400,
      '13',
      'malformed binary metadata "\\xe9" in header "grpc-trace-bin": illegal base64 data at input byte 0',
    ],
    [
      'an encoding, for an unknown method',
      '/proto.API/Nope',
      { 'grpc-encoding': 'gzip' },
      200,
      '12',
      'unknown method Nope for service proto.API',
    ],
    [
      'an encoding of a stream',
      STREAM,
      { 'grpc-encoding': 'gzip' },
      200,
      '12',
      'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    ],
    [
      'a content type in capitals',
      UNARY,
      { 'content-type': 'Application/GRPC' },
      415,
      '3',
      'invalid gRPC request content-type "Application/GRPC"',
    ],
  ])('%s', async (_, path, headers, httpStatus, status, message) => {
    const answer = await raw(session, path, one, headers);
    expect(answer.headers[':status']).toBe(httpStatus);
    expect(ending(answer)).toEqual([status, message]);
  });

  test.each(['AQI', 'AQI=', '', 'A+/B', 'AR=='])('reads binary metadata of %j', async (value) => {
    expect(ending(await raw(session, UNARY, one, { 'x-bin': value }))).toEqual(['0', '']);
  });

  test.each([
    ['application/grpc;charset=utf-8', 'application/grpc+charset=utf-8'],
    ['application/grpc; charset=utf-8', 'application/grpc+ charset=utf-8'],
    ['application/grpc+proto;charset=utf-8', 'application/grpc+proto;charset=utf-8'],
    ['application/grpc+Proto', 'application/grpc+Proto'],
    ['application/grpc+', 'application/grpc'],
    ['application/grpc;', 'application/grpc'],
  ])('responds to content type %s with %s, with any status', async (type, answered) => {
    const calls: http2.OutgoingHttpHeaders[] = [
      {},
      { 'grpc-timeout': 'x' },
      { 'grpc-timeout': '0m' },
      { ':method': 'PUT' },
    ];
    for (const headers of calls) {
      const answer = await raw(session, UNARY, one, { 'content-type': type, ...headers });
      expect(answer.headers['content-type']).toBe(answered);
    }
    for (const path of ['/nope', '/proto.API/Nope']) {
      const answer = await raw(session, path, one, { 'content-type': type });
      expect(answer.headers['content-type']).toBe(answered);
    }
  });
});

describe('binary metadata', () => {
  test('accepts the encoding of Go, padded or not, and names the position of an invalid character', () => {
    for (let size = 0; size < 30; size++) {
      const padded = randomBytes(size).toString('base64');
      expect(binaryMetadataFault('x-bin', padded)).toBeNull();
      expect(binaryMetadataFault('x-bin', padded.replace(/=+$/, ''))).toBeNull();
    }
    fc.assert(
      fc.property(
        fc.base64String({ minLength: 4 }),
        fc.nat(),
        fc.constantFrom('!', '-', '_', ' ', 'é'),
        (text, at, char) => {
          const plain = text.replaceAll('=', 'A');
          const position = at % plain.length;
          const broken = plain.slice(0, position) + char + plain.slice(position + 1);
          expect(binaryMetadataFault('x-bin', broken)).toContain(`illegal base64 data at input byte ${position}`);
        },
      ),
    );
  });

  test.each([
    ['AQ==AQ==', 4],
    ['AQI=AAAA', 4],
    ['AQ=A', 2],
    ['AQ=', 2],
    ['====', 0],
    ['A===', 1],
    ['AAAAA', 4],
    ['AAAA=', 4],
    ['AQI"', 3],
  ])('of %j ends at byte %i', (text, position) => {
    const fault = `malformed binary metadata ${goQuote(text)} in header "x-bin": illegal base64 data at input byte ${position}`;
    expect(binaryMetadataFault('x-bin', text)).toBe(fault);
  });

  test('is expected only in headers whose name ends with -bin', () => {
    expect(binaryMetadataFault('x-bin-not', '!!')).toBeNull();
  });
});

test.each([
  ['plain', '"plain"'],
  ['a"b\\c', '"a\\"b\\\\c"'],
  ['\t\x01\x7f', '"\\t\\x01\\x7f"'],
  ['\xe9', '"\\xe9"'],
  [Buffer.from('é😀').toString('latin1'), '"é😀"'],
  [Buffer.from('\u00a0\u{e0001}').toString('latin1'), '"\\u00a0\\U000e0001"'],
])('goQuote shows %j as %s', (header, quoted) => {
  expect(goQuote(header)).toBe(quoted);
});

describe('Health/List', () => {
  test('reports the status of every service', async () => {
    const client = healthClient(server.address);
    const before = await unary(client, 'List', {});
    expect(before).toEqual({ statuses: { '': { status: 'SERVING' }, 'proto.API': { status: 'SERVING' } } });
    health.shutdown();
    const after = await unary(client, 'List', {});
    expect(after.statuses['proto.API']).toEqual({ status: 'NOT_SERVING' });
    client.close();
  });

  test('rejects bytes that are not a message', async () => {
    expect(ending(await raw(session, `/${HEALTH_SERVICE}/List`, undecodable))).toEqual(['13', UNARY_GARBAGE]);
  });
});
