import { type BrokerServices, createServices } from './api/services.js';
import type { Node } from './cluster/node.js';
import { AccessPolicy } from './grpc/authorization.js';
import { GrpcServer } from './grpc/server.js';
import type { ResolvedOptions } from './options.js';

/** The services and the port of one broker; both are closed while it is stopped. */
export class BrokerServer {
  readonly node: Node;
  readonly #options: ResolvedOptions;
  readonly #warn: (message: string) => void;
  #port: number;
  #services: BrokerServices | null = null;
  #policy: AccessPolicy | null = null;
  #server: GrpcServer | null = null;

  /** `port`: 0 for any free port, which the broker then keeps. */
  constructor(node: Node, port: number, options: ResolvedOptions, warn: (message: string) => void) {
    this.node = node;
    this.#port = port;
    this.#options = options;
    this.#warn = warn;
  }

  /** `host:port` for clients. */
  get address(): string {
    const { advertisedHost: host } = this.#options;
    return `${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  /** Starts to listen. Rejects with the system's error when the port is in use. */
  async open(): Promise<void> {
    const { node } = this;
    const policy = new AccessPolicy(this.#options.settings);
    const services = createServices(node, policy.authorize);
    try {
      this.#server = await GrpcServer.start({
        host: this.#options.host,
        port: this.#port,
        services,
        tls: this.#options.tls,
        faults: node.faults,
        brokerIndex: node.index,
        clock: node.clock,
        onWarning: (message, error) => this.#warn(`${message}: ${String(error)}`),
      });
    } catch (error) {
      services.stop();
      throw error;
    }
    this.#services = services;
    this.#policy = policy;
    this.#port = this.#server.port;
    node.announce(this.#options.advertisedHost, this.#port);
  }

  /** Reads the access policy again. Throws BrokerOptionError, and keeps the previous one, when it cannot be read. */
  reloadAccessPolicy(): void {
    this.#policy?.reload();
  }

  /** Cuts every connection and frees the port. The synchronous part is complete when the method returns. */
  async cut(): Promise<void> {
    this.#services?.stop();
    this.#services = null;
    const server = this.#server;
    this.#server = null;
    await server?.stop();
  }

  /** Sends GOAWAY to the clients and closes. */
  async close(grace: number): Promise<void> {
    this.#services?.health.shutdown();
    const server = this.#server;
    this.#server = null;
    this.#services?.health.shutdown();
    await server?.close({ grace });
    this.#services?.stop();
    this.#services = null;
  }
}
