import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { frame } from '../../src/transport/frames.js';

/** Responds to one call. */
export type CallScript = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** A server on loopback that responds to every call with a script of the test, over node:http2. */
export class ScriptedPeer {
  readonly host = '127.0.0.1';
  readonly sessions = new Set<ServerHttp2Session>();
  readonly sockets = new Set<Socket>();
  /** The headers of every call so far. */
  readonly calls: IncomingHttpHeaders[] = [];
  /** Handles calls before the script; returns true for those that it has handled. */
  script: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean = () => false;
  /** Connections so far. */
  accepted = 0;
  readonly #server: Http2Server;

  private constructor(server: Http2Server) {
    this.#server = server;
  }

  static async start(
    script: CallScript,
    tls?: SecureServerOptions,
    settings: Settings = {},
    port = 0,
  ): Promise<ScriptedPeer> {
    const server = tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings });
    const peer = new ScriptedPeer(server);
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      peer.accepted++;
      peer.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => peer.sockets.delete(socket));
    });
    server.on('session', (session) => {
      peer.sessions.add(session);
      session.on('error', () => {});
      session.once('close', () => peer.sessions.delete(session));
    });
    server.on('sessionError', () => {});
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => {});
      peer.calls.push(headers);
      if (!peer.script(stream, headers)) script(stream, headers);
    });
    server.listen(port, peer.host);
    await once(server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

/** The headers of a gRPC response. */
export const GRPC_HEADERS = { ':status': 200, 'content-type': 'application/grpc' } as const;

/** Responds with messages and a status. */
export function answer(stream: ServerHttp2Stream, messages: readonly Uint8Array[], status = 0, message = ''): void {
  stream.respond(GRPC_HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': String(status), ...(message === '' ? {} : { 'grpc-message': message }) }),
  );
  stream.end(Buffer.concat(messages.map(frame)));
}

/** Responds with only a status. */
export function answerTrailersOnly(stream: ServerHttp2Stream, status: number, message = ''): void {
  const text = message === '' ? {} : { 'grpc-message': message };
  stream.respond({ ...GRPC_HEADERS, 'grpc-status': String(status), ...text }, { endStream: true });
}

/** Returns every message immediately, and ends when the client ends. */
export function echo(stream: ServerHttp2Stream): void {
  stream.respond(GRPC_HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
}
