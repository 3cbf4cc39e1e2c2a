import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Identity } from './certificates.js';

/** A load balancer that terminates TLS in front of one broker, and closes accepted connections while that broker is down. */
export class TlsTerminator {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Connections that were closed because the backend was down. */
  turnedAway = 0;
  #away = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(
    identity: Identity,
    backend: { readonly host: string; readonly port: number },
  ): Promise<TlsTerminator> {
    const server = createServer({ ...identity, ALPNProtocols: ['h2'] });
    const terminator = new TlsTerminator(server);
    server.on('tlsClientError', () => undefined);
    server.on('secureConnection', (socket) => terminator.#serve(socket, backend));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return terminator;
  }

  get address(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Stops the backend, with every connection to it. */
  away(): void {
    this.#away = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Starts the backend again. */
  back(): void {
    this.#away = false;
  }

  async close(): Promise<void> {
    this.away();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(downstream: TLSSocket, backend: { readonly host: string; readonly port: number }): void {
    this.#keep(downstream);
    if (this.#away) {
      this.turnedAway++;
      downstream.end();
      return;
    }
    const upstream = connect(backend);
    this.#keep(upstream);
    downstream.pipe(upstream).pipe(downstream);
    downstream.once('close', () => upstream.destroy());
    upstream.once('close', () => downstream.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
