import { Client } from './client.js';
import { parseSeeds } from './cluster/addresses.js';
import { Router } from './cluster/router.js';
import { atCallSite, callSite } from './errors/call-site.js';
import { type ClientOptions, resolveConnect } from './options.js';

/**
 * Connects to a Liftbridge cluster. Resolves as soon as one of the servers has answered; the others are tried in the
 * background. While none answers, tries all of them again until `connectTimeout` is over, unless they refuse for good. Rejects
 * with the reason of `signal` when that is aborted. The client keeps the process alive until it is closed.
 * go-liftbridge: `Connect`.
 *
 * @param servers addresses to begin with: "host", "host:port" or "[::1]:9292"; the port is 9292 by default
 * @throws ConnectionError when no server answers within `connectTimeout`, naming each and its reason
 * @throws InvalidArgumentError for an address or an option that is not allowed, before anything is sent
 *
 * @example
 * ```ts
 * await using client = await connect('localhost:9292');
 * await client.createStream('orders', 'orders-stream');
 * const ack = await client.publish('orders-stream', 'hello');
 * ```
 */
export async function connect(servers: string | readonly string[], options?: ClientOptions): Promise<Client> {
  const site = callSite(connect);
  try {
    return await openClient(servers, options);
  } catch (error) {
    throw atCallSite(error, site);
  }
}

async function openClient(servers: string | readonly string[], options?: ClientOptions): Promise<Client> {
  const { lasting, signal } = resolveConnect(options);
  const router = new Router(parseSeeds(servers), lasting);
  signal?.throwIfAborted();
  const client = Client.create(router);
  try {
    await router.connect(signal);
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}
