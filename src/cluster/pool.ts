import { lookup } from 'node:dns/promises';
import { monotonicNow } from '../async/clock.js';
import { excerpt, quoted } from '../errors/quote.js';
import { ConnectionError, HandlerError } from '../errors.js';
import { type Address, formatAddress, parseAddress } from './addresses.js';
import { BrokerConnection, type ConnectionSettings } from './broker-connection.js';
import type { BrokerTarget } from './cluster-api.js';
import type { BrokerInfo } from './metadata.js';
import { chooseBroker } from './selection.js';
import { OMITTED_BROKER_MS } from './timing.js';

interface KnownBroker {
  readonly info: BrokerInfo;
  /** Where it is reached, by `resolveBroker`. */
  readonly address: Address;
  /** When a list named it last, as of `monotonicNow()`. */
  readonly listedAt: number;
}

/**
 * The brokers that the client can talk to: the seeds, and whatever the cluster advertises. One connection a broker,
 * whatever names it goes by.
 */
export class Pool {
  readonly #settings: ConnectionSettings;
  readonly #onDown: (connection: BrokerConnection) => void;
  readonly #seeds: readonly BrokerConnection[];
  /** By address, seeds and advertised ones. */
  readonly #members = new Map<string, BrokerConnection>();
  /** Advertised brokers by id. */
  #routes = new Map<string, BrokerConnection>();
  /** Advertised addresses that lead to a seed's connection. */
  readonly #aliases = new Map<string, BrokerConnection>();
  /** Brokers that were ever advertised, by id: a list may lack one that works. */
  readonly #known = new Map<string, KnownBroker>();
  /** Seeds that said who they are. */
  readonly #identities = new Map<BrokerConnection, string>();
  /** Connections to brokers that left, until they are closed. */
  readonly #departing = new Set<Promise<void>>();
  #updating: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Calls `onDown` for each broker that stops answering. */
  constructor(seeds: readonly Address[], settings: ConnectionSettings, onDown: (connection: BrokerConnection) => void) {
    this.#settings = settings;
    this.#onDown = onDown;
    for (const seed of seeds) if (!this.#members.has(formatAddress(seed))) this.#add(seed);
    this.#seeds = [...this.#members.values()];
    settings.hub.on('connect', ({ broker }) => this.#disconnectSeeds(broker.id));
  }

  /** The addresses given to `connect`, each once. */
  get seeds(): readonly BrokerConnection[] {
    return this.#seeds;
  }

  /** Every connection, open or not. */
  get connections(): Iterable<BrokerConnection> {
    return this.#members.values();
  }

  /** Whether the connection still belongs to the cluster. */
  has(connection: BrokerConnection): boolean {
    return this.#members.get(connection.address) === connection;
  }

  /** The brokers for a call that any broker may serve: the advertised ones, and the seeds while none of those answers. */
  candidates(): readonly BrokerConnection[] {
    const advertised = new Set([...this.#routes.keys()].map((id) => this.route(id)!));
    if ([...advertised].some(({ up }) => up !== false)) return [...advertised];
    for (const seed of this.#seeds) advertised.add(seed);
    return [...advertised];
  }

  /** One of the candidates by `serverSelection`; one of `except`, ids or addresses, only where no other is left. */
  choose(except?: ReadonlySet<string>): BrokerConnection {
    const chosen = chooseBroker(this.candidates(), this.#settings.options.serverSelection, except);
    if (chosen !== undefined) return chosen;
    throw new ConnectionError('No broker is known.', { reason: 'no-broker', outcome: 'not-sent' });
  }

  /** A broker that was ever advertised. */
  known(id: string): BrokerInfo | undefined {
    return this.#known.get(id)?.info;
  }

  /** Brokers to compare the answers of: those that are connected first, those that do not answer only where no other is left. */
  witnesses(most: number): readonly BrokerConnection[] {
    const all = [...new Set([...this.candidates(), ...this.#members.values()])];
    const connected = all.filter(({ up }) => up === true);
    const untried = all.filter(({ up }) => up === null);
    const chosen = [...connected, ...untried];
    return (chosen.length > 0 ? chosen : all).slice(0, most);
  }

  /** The connection to a broker by its id: to where it is advertised, or to the seed that it is, where only that answers. */
  route(id: string): BrokerConnection | undefined {
    const route = this.#routes.get(id) ?? this.#recall(id);
    if (route?.up !== false) return route;
    return this.#seeds.find((seed) => this.#identities.get(seed) === id && seed.up !== false) ?? route;
  }

  /** The connection to a target. */
  find({ id, address }: BrokerTarget): BrokerConnection | undefined {
    return this.route(id) ?? this.#members.get(address) ?? this.#aliases.get(address);
  }

  /** Applies a new list of brokers. A new broker gets a connection when it is first needed; one that left loses it. */
  update(brokers: ReadonlyMap<string, BrokerInfo>): Promise<void> {
    const updated = this.#updating.then(() => this.#replace(brokers));
    this.#updating = updated.catch(() => undefined); // the caller of this update gets the error
    return updated;
  }

  /** Records which broker answers on a connection. */
  async identify(connection: BrokerConnection, id: string): Promise<void> {
    if (!this.#seeds.includes(connection)) return;
    this.#identities.set(connection, id);
    connection.id = id;
    const route = this.#routes.get(id);
    if (route === undefined || route === connection) return;
    if (route.up === null && (await sameHost(connection, route))) this.#alias(route, connection, id);
    else this.#disconnectSeeds(id);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closing = [...this.#members.values()].map((connection) => connection.close());
    this.#members.clear();
    await Promise.all([...closing, ...this.#departing]);
  }

  async #replace(brokers: ReadonlyMap<string, BrokerInfo>): Promise<void> {
    const routes = new Map<string, BrokerConnection>();
    const now = monotonicNow();
    for (const broker of brokers.values()) {
      const address = this.#translate(broker);
      this.#known.set(broker.id, { info: broker, address, listedAt: now });
      const connection = (await this.#existing(broker.id, address)) ?? this.#add(address);
      connection.load = broker.leaderCount + broker.partitionCount;
      connection.id = broker.id;
      routes.set(broker.id, connection);
    }
    this.#routes = routes;
    const kept = new Set([...this.#seeds, ...routes.values()]);
    for (const [address, connection] of this.#members) {
      // The list of a broker lacks those that it cannot reach. Connections to them that work stay open.
      if (kept.has(connection) || (connection.up === true && (!connection.idle || this.#isOmitted(connection, now))))
        continue;
      this.#members.delete(address);
      const closing: Promise<void> = connection.close().finally(() => this.#departing.delete(closing));
      this.#departing.add(closing);
    }
  }

  /** Whether a list named it recently, so that a list without it does not count. */
  #isOmitted({ id }: BrokerConnection, now: number): boolean {
    const known = this.#known.get(id);
    return known !== undefined && now - known.listedAt < OMITTED_BROKER_MS;
  }

  /** The connection to a broker that the newest list lacks, as the leaders of partitions may. */
  #recall(id: string): BrokerConnection | undefined {
    const known = this.#known.get(id);
    if (known === undefined || this.#isClosed) return undefined;
    const name = formatAddress(known.address);
    const connection = this.#members.get(name) ?? this.#aliases.get(name) ?? this.#add(known.address);
    connection.id = id;
    return connection;
  }

  async #existing(id: string, address: Address): Promise<BrokerConnection | undefined> {
    const name = formatAddress(address);
    const known = this.#members.get(name) ?? this.#aliases.get(name);
    if (known !== undefined) return known;
    for (const seed of this.#seeds) {
      if (this.#identities.get(seed) !== id || !(await sameHost(seed, address))) continue;
      this.#aliases.set(name, seed);
      return seed;
    }
    return undefined;
  }

  #add(address: Address): BrokerConnection {
    const connection = new BrokerConnection(address, this.#settings);
    connection.onDown = this.#onDown;
    this.#members.set(connection.address, connection);
    return connection;
  }

  #alias(route: BrokerConnection, seed: BrokerConnection, id: string): void {
    if (this.#routes.get(id) !== route || route.up !== null) return;
    this.#members.delete(route.address);
    this.#aliases.set(route.address, seed);
    this.#routes.set(id, seed);
    seed.load = route.load;
  }

  /** A broker that answers at its advertised address needs no second connection to its seed address. */
  #disconnectSeeds(id: string): void {
    const route = this.#routes.get(id);
    if (route?.up !== true) return;
    for (const seed of this.#seeds) {
      if (seed !== route && this.#identities.get(seed) === id && seed.idle) void seed.disconnect();
    }
  }

  #translate(broker: BrokerInfo): Address {
    const { resolveBroker } = this.#settings.options;
    if (resolveBroker === undefined) return { host: broker.host, port: broker.port };
    let answer: unknown;
    try {
      answer = resolveBroker({ id: broker.id, host: broker.host, port: broker.port });
    } catch (cause) {
      throw new HandlerError(`resolveBroker threw for broker ${quoted(broker.id)} at ${excerpt(broker.address)}`, {
        broker: broker.id,
        operation: 'resolveBroker',
        cause,
      });
    }
    return parseAddress(answer, 'resolveBroker', 'its answer');
  }
}

/** Whether both addresses lead to the same port of the same host, also under different names. */
async function sameHost(one: Address, other: Address): Promise<boolean> {
  if (one.port !== other.port) return false;
  if (one.host === other.host) return true;
  const [first, second] = await Promise.all([resolve(one.host), resolve(other.host)]);
  return first.some((address) => second.includes(address));
}

async function resolve(host: string): Promise<readonly string[]> {
  // A broker may advertise no host at all.
  if (host === '') return [];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    // A name that does not resolve is not an alias of another host. The attempt to connect reports the failure.
    return [];
  }
}
