import * as http2 from 'node:http2';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { FrameSplitter, frame, wire } from 'liftbridge-client/protocol';
import { decodeRequest } from '../../src/grpc/decode-request.js';
import { GrpcServer, type GrpcServerOptions } from '../../src/grpc/server.js';
import type { Method, Services } from '../../src/grpc/service.js';

const proto = (name: string) => fileURLToPath(new URL(`../../../proto/${name}`, import.meta.url));
const LOADER = { keepCase: true, longs: String, enums: String, defaults: true } as const;

/** A service of `proto.API` with the given methods. */
function apiOf(methods: Record<string, Method>): Services {
  return new Map([['proto.API', new Map(Object.entries(methods))]]);
}

export function startServer(
  methods: Record<string, Method>,
  options: Partial<GrpcServerOptions> = {},
): Promise<GrpcServer> {
  return GrpcServer.start({ port: 0, services: apiOf(methods), ...options });
}

/** Responds to FetchMetadata with no streams; the request comes back as the id of a broker. */
export const echoMetadata: Method = {
  kind: 'unary',
  handle: (payload) => {
    const request = decodeRequest(wire.FetchMetadataRequest, payload);
    const brokers = request.streams.map((id) => wire.Broker.fromPartial({ id }));
    return wire.FetchMetadataResponse.encode(wire.FetchMetadataResponse.fromPartial({ brokers })).finish();
  },
};

/** Responds to each publish with its correlation id. */
export const echoPublishes: Method = {
  kind: 'duplex',
  handle: async (call) => {
    call.onMessages((payloads) => {
      for (const payload of payloads) {
        const { correlationId } = wire.PublishRequest.decode(payload);
        const response = wire.PublishResponse.fromPartial({ correlationId });
        call.write(frame(wire.PublishResponse.encode(response).finish()));
      }
    });
    await call.received;
  },
};

type ClientConstructor = new (address: string, credentials: grpc.ChannelCredentials, options?: object) => grpc.Client;

/** A grpc-js client of the API, generated from the proto file. */
// biome-ignore lint/suspicious/noExplicitAny: a client that is created at run time has no types
export function foreignClient(address: string, credentials = grpc.credentials.createInsecure(), options = {}): any {
  const loaded = grpc.loadPackageDefinition(loadSync(proto('api.proto'), LOADER)) as unknown as {
    proto: { API: ClientConstructor };
  };
  return new loaded.proto.API(address, credentials, options);
}

/** A grpc-js client of the health service. */
// biome-ignore lint/suspicious/noExplicitAny: a client that is created at run time has no types
export function healthClient(address: string): any {
  const loaded = grpc.loadPackageDefinition(loadSync(proto('health.proto'), LOADER)) as unknown as {
    grpc: { health: { v1: { Health: ClientConstructor } } };
  };
  return new loaded.grpc.health.v1.Health(address, grpc.credentials.createInsecure());
}

/** Calls a unary method of a grpc-js client; rejects with its ServiceError. */
// biome-ignore lint/suspicious/noExplicitAny: a client that is created at run time has no types
export function unary(client: any, method: string, request: object, options: grpc.CallOptions = {}): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](request, new grpc.Metadata(), options, (error: unknown, response: unknown) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

/** The response to one raw HTTP/2 request. */
export interface RawAnswer {
  headers: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  messages: Buffer[];
  rstCode: number;
}

/** Sends one request of raw frames and collects the complete response. */
export async function raw(
  session: http2.ClientHttp2Session,
  path: string,
  body: Uint8Array,
  headers: http2.OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  const stream = openRaw(session, path, headers);
  stream.end(body);
  return collect(stream);
}

export function openRaw(
  session: http2.ClientHttp2Session,
  path: string,
  headers: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
}

export function collect(stream: http2.ClientHttp2Stream): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const answer: RawAnswer = { headers: {}, trailers: {}, messages: [], rstCode: 0 };
    const splitter = new FrameSplitter(2 ** 30);
    stream.on('response', (headers) => {
      answer.headers = headers;
    });
    stream.on('trailers', (trailers) => {
      answer.trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) =>
      splitter.push(chunk, (source, start, end) => answer.messages.push(Buffer.from(source.subarray(start, end)))),
    );
    stream.on('error', reject);
    stream.on('close', () => resolve({ ...answer, rstCode: stream.rstCode }));
  });
}

/** A raw HTTP/2 connection to the server. */
export async function connectRaw(address: string): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`http://${address}`);
  await new Promise((resolve, reject) => {
    session.once('connect', resolve);
    session.once('error', reject);
  });
  return session;
}
