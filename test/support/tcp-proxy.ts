import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

interface Pair {
  readonly downstream: Socket;
  readonly upstream: Socket;
  forgotten: boolean;
}

/** A TCP proxy in front of one broker that can forget its connections, as a router or a load balancer does. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** What new connections are told before they are closed; null passes them on. */
  refusal: Buffer | null = null;
  /** Connections that were closed so. */
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

  /** Connections that were forgotten and that the client still has open. */
  get forgotten(): number {
    return [...this.#pairs].filter(({ forgotten }) => forgotten).length;
  }

  /** Passes nothing on any more over the connections of now, and tells nobody. New connections work. */
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
