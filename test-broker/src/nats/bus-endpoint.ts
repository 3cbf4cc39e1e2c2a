import type { NatsClientOptions, NatsServer } from '../nats-options.js';
import type { ResolvedOptions } from '../options.js';
import type { Bus } from './bus.js';
import { NatsListener } from './listener.js';
import { MemoryBus } from './memory-bus.js';
import { RemoteBus } from './remote-bus.js';
import { connectionName } from './remote-connection.js';
import { SwitchedListener } from './switched-listener.js';

/** The bus of the brokers, and the address where NATS clients reach it. */
export interface BusEndpoint {
  readonly bus: Bus;
  /** `nats://host:port`; null when no NATS client can connect. */
  readonly url: string | null;
  /** The same address as options of a NATS client. */
  readonly client: NatsClientOptions | null;
  /** Disconnects NATS clients, or lets them connect again; no effect on an external NATS server. */
  setReachable(reachable: boolean): Promise<void>;
  /** Attaches to another server, or to the same one with other credentials; null where NATS is in this process. */
  readonly attach: ((server: NatsServer) => Promise<void>) | null;
  close(): Promise<void>;
}

/** Opens the bus that the options ask for: on a NATS server elsewhere, or in this process, with a listener or without. */
export async function openBus(
  options: ResolvedOptions,
  broker: string,
  warn: (message: string) => void,
): Promise<BusEndpoint> {
  if (options.natsServer !== null) return attach(options.natsServer, options, broker, warn);
  const bus = new MemoryBus({ onError: (error) => warn(`NATS bus: ${String(error)}`) });
  if (!options.nats) {
    const setReachable = () => Promise.resolve();
    return { bus, url: null, client: null, setReachable, attach: null, close: () => bus.close() };
  }
  const listener = new SwitchedListener(await NatsListener.start({ bus, port: options.natsPort, host: options.host }));
  const { url, port } = listener;
  const close = async () => {
    await listener.close();
    await bus.close();
  };
  const reopen = () => NatsListener.start({ bus, port, host: options.host });
  const setReachable = (reachable: boolean) =>
    listener
      .set(reachable, reopen)
      .catch((error: unknown) => warn(`the NATS listener cannot restart: ${String(error)}`));
  const client = { servers: [new URL(url).host] };
  return { bus, url, client, setReachable, attach: null, close };
}

async function attach(
  server: NatsServer,
  options: ResolvedOptions,
  broker: string,
  warn: (message: string) => void,
): Promise<BusEndpoint> {
  const name = connectionName(options.settings['clustering.namespace'], broker);
  const onError = (error: unknown) => warn(`NATS bus: ${String(error)}`);
  let current = server;
  const bus = await reaching(server, ({ servers, ...access }) =>
    RemoteBus.connect(servers.join(','), { name, onError, access }),
  );
  return {
    bus,
    get url() {
      return current.url;
    },
    get client() {
      return current.client;
    },
    setReachable: () => Promise.resolve(),
    async attach(other) {
      await reaching(other, ({ servers, ...access }) => bus.reconnect(servers.join(','), access));
      current = other;
    },
    close: () => bus.close(),
  };
}

/** Connects to a server; an error names the server and not the credentials. */
async function reaching<T>(server: NatsServer, connect: (client: NatsClientOptions) => Promise<T>): Promise<T> {
  try {
    return await connect(server.client);
  } catch (error) {
    throw unreachable(server, error);
  }
}

/** The error of the `nats` package, whose text is only its code, with the address of the server. */
function unreachable({ url, client }: NatsServer, error: unknown): Error {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  // A server that refuses the client's certificate ends the connection, and the package keeps waiting.
  const hint = code === 'TIMEOUT' && client.tls ? ' (the server may require another client certificate)' : '';
  // Without name and password, which the URL may hold.
  const server = url.replaceAll(/\/\/[^/,]*@/g, '//');
  const text = `cannot connect to the NATS server at ${server}: ${message ?? String(error)}${hint}`;
  return Object.assign(new Error(text, { cause: error }), { code });
}
