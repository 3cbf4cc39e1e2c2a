import { createServer, type Socket, type Server as TcpServer } from 'node:net';
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { UnaryMethod, UnaryRequest, UnaryResponse } from '../../src/cluster/unary-calls.js';
import type { FetchMetadataResponse } from '../../src/protocol/generated/api.js';
import { APIService } from './grpc-js-api.js';

/** The result of one call of a method: a response, a failure with a status, or silence. */
export type Reply<Method extends UnaryMethod> =
  | { readonly answer: UnaryResponse<Method> }
  | { readonly fail: keyof typeof status; readonly details?: string }
  | 'silence';

type Handler<Method extends UnaryMethod> = (
  request: UnaryRequest<Method>,
  call: number,
) => Reply<Method> | Promise<Reply<Method>>;

interface StubPartition {
  readonly leader: string;
  readonly replicas?: readonly string[];
  readonly paused?: boolean;
}

/**
 * A gRPC server that records every request and responds as scripted: for tests of requests, and of failures in an
 * exact order. Methods without a script return an empty message.
 */
export class StubServer {
  readonly requests: {
    readonly method: UnaryMethod;
    readonly request: unknown;
    readonly metadata: Record<string, unknown>;
  }[] = [];
  /** The response to FetchMetadata: ids of brokers with their ports, streams with their partitions. */
  brokers: { id: string; host: string; port: number; load?: number }[] = [];
  streams = new Map<string, { subject?: string; partitions: readonly StubPartition[] }>();
  readonly #server = new Server();
  readonly #handlers = new Map<UnaryMethod, Handler<UnaryMethod>>();
  #port = 0;

  private constructor(readonly id: string) {}

  /** Starts on a free port of 127.0.0.1, as the only broker of its cluster. */
  static async start(id = 'stub', port = 0): Promise<StubServer> {
    const stub = new StubServer(id);
    const methods = Object.entries(APIService).filter(
      ([, { requestStream, responseStream }]) => !requestStream && !responseStream,
    );
    stub.#server.addService(
      APIService,
      Object.fromEntries(
        methods.map(([name]) => [
          name,
          (call: ServerUnaryCall<unknown, unknown>, reply: sendUnaryData<unknown>) =>
            void stub.#serve(name as UnaryMethod, call, reply),
        ]),
      ) as never,
    );
    stub.#port = await new Promise<number>((resolve, reject) => {
      stub.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    stub.brokers = [{ id, host: '127.0.0.1', port: stub.#port }];
    return stub;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Scripts a method; `call` counts its calls from 1. */
  on<Method extends UnaryMethod>(method: Method, handler: Handler<Method>): void {
    this.#handlers.set(method, handler as Handler<UnaryMethod>);
  }

  /** The requests of one method, in order. */
  of<Method extends UnaryMethod>(method: Method): UnaryRequest<Method>[] {
    return this.requests
      .filter((entry) => entry.method === method)
      .map(({ request }) => request as UnaryRequest<Method>);
  }

  async stop(): Promise<void> {
    this.#server.forceShutdown();
  }

  async #serve(
    method: UnaryMethod,
    call: ServerUnaryCall<unknown, unknown>,
    reply: sendUnaryData<unknown>,
  ): Promise<void> {
    const request = call.request as UnaryRequest<UnaryMethod>;
    this.requests.push({ method, request, metadata: call.metadata.getMap() });
    const handler = this.#handlers.get(method);
    const scripted = await handler?.(request, this.of(method).length);
    if (scripted === 'silence') return;
    if (scripted === undefined) reply(null, method === 'fetchMetadata' ? this.#metadata(request as never) : {});
    else if ('fail' in scripted)
      reply({ code: status[scripted.fail], details: scripted.details ?? 'scripted' } as ServiceError);
    else reply(null, scripted.answer);
  }

  #metadata({ streams }: UnaryRequest<'fetchMetadata'>): FetchMetadataResponse {
    const names = streams.length === 0 ? [...this.streams.keys()] : streams;
    return {
      brokers: this.brokers.map(({ load = 0, ...broker }) => ({ ...broker, partitionCount: load, leaderCount: 0 })),
      groupMetadata: [],
      streamMetadata: names.map((name) => {
        const stream = this.streams.get(name);
        return {
          name,
          subject: stream?.subject ?? name,
          error: stream === undefined ? 1 : 0,
          creationTimestamp: 1n,
          partitions: new Map(
            (stream?.partitions ?? []).map(({ leader, replicas = [leader], paused = false }, id) => [
              id,
              {
                id,
                leader,
                replicas: [...replicas],
                isr: [...replicas],
                highWatermark: -1n,
                newestOffset: -1n,
                paused,
                readonly: false,
              },
            ]),
          ),
        };
      }),
    };
  }
}

/** A peer that accepts connections and never sends data: a half-open broker. */
export class SilentPeer {
  readonly #sockets = new Set<Socket>();
  connections = 0;

  private constructor(
    readonly server: TcpServer,
    readonly port: number,
  ) {
    server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined); // the client may reset the connection, as the test expects
      socket.resume(); // a socket without a reader does not detect its end
    });
  }

  static async start(): Promise<SilentPeer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new SilentPeer(server, address.port);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that are currently open. */
  get open(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A port of 127.0.0.1 that refuses connections: only the system may listen there. */
export const REFUSED_PORT = 1;

/** A free port of 127.0.0.1, for a server that starts later. */
export async function freePort(): Promise<number> {
  const peer = await SilentPeer.start();
  await peer.stop();
  return peer.port;
}
