import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { deferred } from 'liftbridge-client/protocol';
import { type Clock, type ClockTimer, MovableClock } from '../clock.js';
import { ClientConnection } from './client-connection.js';
import { Congestion } from './congestion.js';
import type { MemoryBus } from './memory-bus.js';

/** How a {@link NatsListener} is started. */
export interface NatsListenerOptions {
  /** The bus that clients publish and subscribe on. */
  readonly bus: MemoryBus;
  /** TCP port, 0 for a free one. Default 0. */
  readonly port?: number;
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /**
   * Clock of the pings to idle clients. Default real time, even where the broker's clock can be moved: a day that
   * passes in a millisecond would leave clients no time to respond.
   */
  readonly clock?: Clock;
  /** Server name shown to clients. Default the generated server id. */
  readonly name?: string;
  /** Milliseconds of silence after which a client is pinged. Default 120,000. */
  readonly pingInterval?: number;
  /** Unanswered pings after which a client is dropped. Default 2. */
  readonly maxPingsOut?: number;
  /** Bytes that may wait for a client before it is dropped as a slow consumer. Default 67,108,864. */
  readonly maxPending?: number;
}

/** The NATS version whose protocol the listener speaks. */
const VERSION = '2.10.22';
/** Number of checks within a ping interval: a ping is late by at most one check. */
const CHECKS_PER_PING_INTERVAL = 4;
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A NATS server in front of a {@link MemoryBus}: any NATS client may connect, without credentials. */
export class NatsListener {
  /** The port it listens on. */
  readonly port: number;
  /** Address for clients on this machine, `nats://host:port`. */
  readonly url: string;
  readonly #server: Server;
  readonly #options: NatsListenerOptions;
  readonly #clock: Clock;
  readonly #id = serverId();
  readonly #host: string;
  readonly #congestion = new Congestion();
  readonly #connections = new Set<ClientConnection>();
  readonly #heartbeat: ClockTimer;
  #lastClient = 0;
  #closed: Promise<void> | null = null;

  /** Starts to listen; rejects with the system's error (`EADDRINUSE`, ...) when it cannot. */
  static async start(options: NatsListenerOptions): Promise<NatsListener> {
    const server = createServer({ allowHalfOpen: true });
    const listening = deferred();
    server.once('error', listening.reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', listening.resolve);
    await listening.promise;
    server.off('error', listening.reject);
    return new NatsListener(server, options);
  }

  private constructor(server: Server, options: NatsListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.#clock = options.clock ?? new MovableClock();
    this.#host = options.host ?? '127.0.0.1';
    this.port = portOf(server);
    this.url = `nats://${reachable(this.#host)}:${this.port}`;
    server.on('connection', (socket) => this.#accept(socket));
    const interval = options.pingInterval ?? 120_000;
    this.#heartbeat = this.#clock.every(interval / CHECKS_PER_PING_INTERVAL, () => {
      for (const connection of this.#connections) connection.checkAlive(interval);
    });
  }

  /** Number of connected clients. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Ends every connection and stops listening; may be called twice. */
  async close(): Promise<void> {
    this.#heartbeat.cancel();
    if (this.#closed === null) {
      const closed = deferred();
      this.#server.close(() => closed.resolve());
      this.#closed = closed.promise;
    }
    for (const connection of this.#connections) connection.end();
    await this.#closed;
    this.#connections.clear();
  }

  #accept(socket: Socket): void {
    const settings = {
      bus: this.#options.bus,
      info: this.#info(socket.remoteAddress ?? ''),
      maxPending: this.#options.maxPending ?? 64 * 1024 * 1024,
      congestion: this.#congestion,
      maxPingsOut: this.#options.maxPingsOut ?? 2,
      now: () => this.#clock.now(),
    };
    const connection: ClientConnection = new ClientConnection(socket, settings, () => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
  }

  #info(clientIp: string): string {
    this.#lastClient++;
    return JSON.stringify({
      server_id: this.#id,
      server_name: this.#options.name ?? this.#id,
      version: VERSION,
      proto: 1,
      host: this.#host,
      port: this.port,
      headers: true,
      max_payload: this.#options.bus.maxPayload,
      client_id: this.#lastClient,
      client_ip: clientIp,
    });
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address of the NATS listener');
  return address.port;
}

/** The host in addresses for clients on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** A name in the form of the public server keys that NATS uses: N and 55 more characters of base 32. */
function serverId(): string {
  return `N${Array.from(randomBytes(55), (byte) => BASE32[byte % 32]).join('')}`;
}
