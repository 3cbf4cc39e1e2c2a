import type { ServerHttp2Session } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { deferred, keepForStream } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import { elapsed } from '../elapsed.js';
import type { Faults, FaultTarget } from '../faults.js';
import type { BrokerTlsOptions } from '../options.js';
import { atMost } from '../pause.js';
import { clearTimeout, nextTick, setTimeout } from '../timers.js';
import type { CallHost } from './call-host.js';
import { Connection } from './connection.js';
import { openCall, serve } from './dispatch.js';
import { createGreeting, listen } from './listener.js';
import type { ServedCall } from './served-call.js';
import type { Services } from './service.js';
import { RpcError } from './status.js';

/** The default limit of grpc-go; a larger request fails its call with RESOURCE_EXHAUSTED. */
const MAX_MESSAGE_BYTES = 4_194_304;
const CLOSE_GRACE_MS = 1_000;

export interface GrpcServerOptions {
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly services: Services;
  readonly tls?: BrokerTlsOptions | null;
  readonly faults?: Faults;
  /** Index of the broker for faults. Default 0. */
  readonly brokerIndex?: number;
  /** Clock of the deadlines of calls. Default: real time. */
  readonly clock?: Clock;
  /** Receives errors that clients see only as UNKNOWN, and failed TLS handshakes. */
  readonly onWarning?: (message: string, error: unknown) => void;
}

/** Options of `close`. */
export interface CloseOptions {
  /** Finishes unary calls and ends streams with UNAVAILABLE, GOAWAY first; false: like `stop`. Default true. */
  readonly graceful?: boolean;
  /** Milliseconds that calls have to finish. Default 1,000. */
  readonly grace?: number;
}

/** A gRPC server on one port: HTTP/2, with TLS or without. */
export class GrpcServer implements CallHost, FaultTarget {
  readonly brokerIndex: number;
  readonly faults: Faults | null;
  readonly messageLimit = MAX_MESSAGE_BYTES;
  readonly #host: string;
  readonly #services: Services;
  readonly #clock: Clock | null;
  readonly #warn: (message: string, error: unknown) => void;
  readonly #server: Server;
  readonly #greet: (socket: Socket) => void;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Connection>();
  readonly #calls = new Set<object>();
  readonly #open = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #detach: () => void = () => {};
  #toFlush: { flush(): void }[] = [];
  #held: (() => void)[] = [];
  #silent = false;
  #closing = false;
  #port = 0;

  private constructor(options: GrpcServerOptions) {
    this.#host = options.host ?? '127.0.0.1';
    this.#services = options.services;
    this.#clock = options.clock ?? null;
    this.#warn = options.onWarning ?? (() => {});
    this.brokerIndex = options.brokerIndex ?? 0;
    this.faults = options.faults ?? null;
    this.#greet = createGreeting(options.tls ?? null, {
      ready: (socket) => this.#accept(socket),
      failed: (error) => this.#warn('a TLS handshake failed', error),
    });
    this.#server = createServer({ noDelay: true }, (socket) => this.#arrived(socket));
  }

  /**
   * Starts a server. Rejects with the error of the system when the port cannot be bound (`EADDRINUSE`), and with
   * BrokerOptionError when the certificates cannot be used.
   */
  static async start(options: GrpcServerOptions): Promise<GrpcServer> {
    const server = new GrpcServer(options);
    server.#port = await listen(server.#server, server.#host, options.port);
    server.#server.on('error', (error) => server.#warn('the gRPC listener failed', error));
    if (server.faults) server.#detach = server.faults.attach(server);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** `host:port`. */
  get address(): string {
    return this.#host.includes(':') ? `[${this.#host}]:${this.#port}` : `${this.#host}:${this.#port}`;
  }

  /** Number of open calls, of one method or of all. */
  openCalls(method?: string): number {
    return method === undefined ? this.#calls.size : (this.#open.get(method) ?? 0);
  }

  /** Number of open connections. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  /** Closes the server and frees its port; resolves when all its connections are closed. */
  async close({ graceful = true, grace = CLOSE_GRACE_MS }: CloseOptions = {}): Promise<void> {
    if (graceful && !this.#closing && !this.#silent) await this.#windDown(grace);
    await this.stop();
  }

  /** Stops like a killed process: cuts every connection at once. The port is free afterwards. */
  async stop(): Promise<void> {
    this.#closing = true;
    this.#detach();
    this.#held = [];
    const closed = deferred();
    this.#server.close(() => closed.resolve());
    this.cutConnections();
    await closed.promise;
    await this.#whenIdle();
  }

  cutConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  goAway(): void {
    for (const connection of this.#connections) connection.goAway();
  }

  setSilent(silent: boolean): void {
    this.#silent = silent;
    for (const connection of this.#connections) connection.setSilent(silent);
    if (silent) return;
    const held = this.#held;
    this.#held = [];
    for (const send of held) send();
  }

  get silent(): boolean {
    return this.#silent;
  }

  afterSilence(send: () => void): void {
    this.#held.push(send);
  }

  now(): number {
    return (this.#clock ?? elapsed).now();
  }

  after(ms: number, callback: () => void): ClockTimer {
    if (!this.#clock) {
      // A server without a broker's clock uses real time.
      const timer = setTimeout(callback, ms);
      return { cancel: () => clearTimeout(timer) };
    }
    // The clock keeps a cancelled timer until its time, and with it the whole call unless this reference is cleared.
    let call: (() => void) | null = callback;
    const timer = this.#clock.after(ms, () => call?.());
    return {
      cancel: () => {
        call = null;
        timer.cancel();
      },
    };
  }

  flushSoon(call: { flush(): void }): void {
    if (this.#toFlush.push(call) > 1) return;
    nextTick(() => {
      const calls = this.#toFlush;
      this.#toFlush = [];
      for (const each of calls) each.flush();
    });
  }

  closed(call: ServedCall): void {
    if (!this.#calls.delete(call)) return;
    const left = (this.#open.get(call.method) ?? 0) - 1;
    if (left > 0) this.#open.set(call.method, left);
    else this.#open.delete(call.method);
    if (this.#calls.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  warn(message: string, error: unknown): void {
    this.#warn(message, error);
  }

  #arrived(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A client that disconnects is no failure of the server; its calls learn of it.
    socket.on('error', () => socket.destroy());
    if (this.#silent) this.#held.push(() => this.#greet(socket));
    else this.#greet(socket);
  }

  #accept(socket: Socket): void {
    if (this.#silent) {
      this.#held.push(() => this.#accept(socket));
      return;
    }
    if (socket.destroyed) return;
    const connection = new Connection(socket);
    const { session } = connection;
    this.#connections.add(connection);
    session.once('close', () => this.#connections.delete(connection));
    session.on('error', () => connection.cut());
    session.on('stream', (stream, headers, _flags, rawHeaders?: string[]) => {
      keepForStream(session, stream);
      const opened = openCall(this, connection, stream, headers, rawHeaders ?? []);
      if (!opened) return;
      const { call, service } = opened;
      this.#calls.add(call);
      this.#open.set(call.method, (this.#open.get(call.method) ?? 0) + 1);
      serve(this, call, service, this.#services);
    });
  }

  async #windDown(grace: number): Promise<void> {
    this.#closing = true;
    this.#server.close();
    this.goAway();
    for (const call of this.#calls as Set<ServedCall>) {
      if (call.streaming) call.fail(new RpcError('UNAVAILABLE', 'the server is shutting down'));
    }
    await atMost(
      grace,
      this.#whenIdle().then(() => this.#whenGone()),
    );
  }

  /** Connections with a GOAWAY close once their last bytes have left. */
  async #whenGone(): Promise<void> {
    await Promise.all(Array.from(this.#connections, ({ session }) => closeOf(session)));
  }

  #whenIdle(): Promise<void> {
    if (this.#calls.size === 0) return Promise.resolve();
    const { promise, resolve } = deferred();
    this.#idle.push(resolve);
    return promise;
  }
}

function closeOf(session: ServerHttp2Session): Promise<void> {
  const { promise, resolve } = deferred();
  session.once('close', resolve);
  return promise;
}
