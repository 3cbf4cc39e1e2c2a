import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly downstream: Socket;
  readonly upstream: Socket;
  forgotten: boolean;
}

/** A TCP proxy in front of one broker that can drop its connections silently, as a router or a load balancer does. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** The data that new connections receive before they are closed; null forwards connections. */
  refusal: Buffer | null = null;
  /** The number of connections that were closed in this way. */
  refused = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `backend`: "host:port". */
  static async start(backend: string): Promise<TcpProxy> {
    const server = createServer();
    const proxy = new TcpProxy(server);
    const [host, port] = backend.split(':') as [string, string];
    server.on('connection', (socket) => {
      if (proxy.refusal === null) proxy.#serve(socket, connect(Number(port), host));
      else proxy.#refuse(socket, proxy.refusal);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that were dropped silently and that the client still has open. */
  get forgotten(): number {
    return [...this.#pairs].filter(({ forgotten }) => forgotten).length;
  }

  /** Stops forwarding on the current connections without closing them. New connections work. */
  forget(): void {
    for (const pair of this.#pairs) pair.forgotten = true;
  }

  async close(): Promise<void> {
    for (const { downstream, upstream } of this.#pairs) {
      downstream.destroy();
      upstream.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #refuse(socket: Socket, bytes: Buffer): void {
    this.refused++;
    socket.on('error', () => undefined);
    socket.end(bytes);
    socket.resume();
  }

  #serve(downstream: Socket, upstream: Socket): void {
    const pair: Pair = { downstream, upstream, forgotten: false };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [downstream, upstream],
      [upstream, downstream],
    ] as const) {
      from.on('data', (chunk) => pair.forgotten || to.write(chunk));
      from.on('error', () => undefined);
      from.once('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
  }
}
