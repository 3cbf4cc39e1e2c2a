import type { Bus } from './nats/bus.js';
import { NatsListener } from './nats/listener.js';
import { MemoryBus } from './nats/memory-bus.js';
import { connectionName, RemoteBus } from './nats/remote-bus.js';
import { SwitchedListener } from './nats/switched-listener.js';
import type { ResolvedOptions } from './options.js';

/** What everything that is published passes through, and where NATS clients reach it. */
export interface Spine {
  readonly bus: Bus;
  /** `nats://host:port`; null when no NATS client can connect. */
  readonly url: string | null;
  /** Cuts NATS clients off, or lets them connect again; one that is attached to a server leaves that as it is. */
  setReachable(reachable: boolean): Promise<void>;
  close(): Promise<void>;
}

/** The spine that the options ask for: a NATS server elsewhere, or one in this process, with a listener or without. */
export async function openSpine(
  options: ResolvedOptions,
  broker: string,
  warn: (message: string) => void,
): Promise<Spine> {
  if (typeof options.nats === 'string') return attach(options.nats, options, broker, warn);
  const bus = new MemoryBus({ onError: (error) => warn(`on the NATS bus: ${String(error)}`) });
  if (!options.nats) return { bus, url: null, setReachable: () => Promise.resolve(), close: () => bus.close() };
  const listener = new SwitchedListener(await NatsListener.start({ bus, port: options.natsPort, host: options.host }));
  const { url, port } = listener;
  const close = async () => {
    await listener.close();
    await bus.close();
  };
  const reopen = () => NatsListener.start({ bus, port, host: options.host });
  const setReachable = (reachable: boolean) =>
    listener.set(reachable, reopen).catch((error: unknown) => warn(`NATS cannot listen again: ${String(error)}`));
  return { bus, url, setReachable, close };
}

async function attach(
  url: string,
  options: ResolvedOptions,
  broker: string,
  warn: (message: string) => void,
): Promise<Spine> {
  const name = connectionName(options.settings['clustering.namespace'], broker);
  try {
    const bus = await RemoteBus.connect(url, { name, onError: (error) => warn(`on the NATS bus: ${String(error)}`) });
    return { bus, url, setReachable: () => Promise.resolve(), close: () => bus.close() };
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** The error of the `nats` package, whose text is not more than its code, with the server that it is about. */
function unreachable(url: string, error: unknown): Error {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  // Without the name and password that the URL may hold.
  const server = url.replace(/\/\/[^/]*@/, '//');
  const text = `cannot connect to the NATS server at ${server}: ${message ?? String(error)}`;
  return Object.assign(new Error(text, { cause: error }), { code });
}
