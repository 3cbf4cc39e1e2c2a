import type { Clock } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import { pause } from '../pause.js';
import type { ResolvedSettings } from '../settings.js';
import type { BrokerLoad } from './contract.js';

/** How long a request without a deadline waits for a broker that does not answer. */
const PEER_TIMEOUT_MS = 3_000;
/** How long a quick directory waits for a broker that the request before has missed already. */
const QUICK_PEER_TIMEOUT_MS = 100;
/** How long a quick directory keeps a list. */
const QUICK_MAX_AGE_MS = 1_000;

/** The broker that a {@link BrokerDirectory} belongs to. */
export interface DirectoryHost {
  readonly clock: Clock;
  /** The load that each other broker reports; null for a broker that does not answer. */
  askPeers(): Iterable<BrokerLoad | null>;
  ownLoad(): BrokerLoad;
  /** Whether NATS is unreachable: brokers ask each other over NATS. */
  natsDown(): boolean;
  /** Whether a fault leaves a broker, given by its id, out of the list. */
  isUnlisted(broker: string): boolean;
}

/** How long a list is valid, and how long a request waits for missing brokers. */
export interface DirectoryTiming {
  readonly maxAge: number;
  /** Waits only once for the full time for a missing broker, so that a cluster with a dead broker stays quick. */
  readonly quick: boolean;
}

/** Takes the setting where it is given, else a default that is scaled down like the other times of a cluster. */
export function directoryTiming({ settings, given }: Pick<ResolvedSettings, 'settings' | 'given'>): DirectoryTiming {
  const name = 'metadata.cache.max.age';
  return given.has(name) ? { maxAge: settings[name], quick: false } : { maxAge: QUICK_MAX_AGE_MS, quick: true };
}

/**
 * The list of brokers that clients see in FetchMetadata. It is cached. When a broker does not answer, the request waits
 * until the deadline of the caller, or 3 seconds, as the server does, and then returns the other brokers.
 */
export class BrokerDirectory {
  readonly #host: DirectoryHost;
  readonly #timing: DirectoryTiming;
  #known: { readonly until: number; readonly brokers: readonly BrokerLoad[] } | null = null;
  /** The number of brokers that did not answer the last request. */
  #missed = 0;

  constructor(host: DirectoryHost, timing: DirectoryTiming) {
    this.#host = host;
    this.#timing = timing;
  }

  /**
   * Returns the list, this broker first. `deadline` is in milliseconds of the broker's clock. Rejects with RpcError when
   * the cached list has expired and NATS is down.
   */
  async list(deadline: number | null): Promise<readonly BrokerLoad[]> {
    const brokers = await this.#fetch(deadline);
    return brokers.filter(({ id }, index) => index === 0 || !this.#host.isUnlisted(id));
  }

  async #fetch(deadline: number | null): Promise<readonly BrokerLoad[]> {
    if (this.#known && this.#host.clock.now() < this.#known.until) return this.#known.brokers;
    if (this.#host.natsDown()) throw new RpcError('INTERNAL', 'nats: outbound buffer limit exceeded');
    const peers = [...this.#host.askPeers()];
    const missing = peers.filter((peer) => peer === null).length;
    if (missing > 0) await this.#wait(missing, deadline === null ? PEER_TIMEOUT_MS : deadline - this.#host.clock.now());
    this.#missed = missing;
    const brokers = [this.#host.ownLoad(), ...peers.filter((peer) => peer !== null)];
    this.#known = { until: this.#host.clock.now() + this.#timing.maxAge, brokers };
    return brokers;
  }

  /** Discards the cached list. */
  forget(): void {
    this.#missed = 0;
    this.#known = null;
  }

  #wait(missing: number, left: number): Promise<void> {
    const ms = this.#timing.quick && missing <= this.#missed ? Math.min(QUICK_PEER_TIMEOUT_MS, left) : left;
    return pause(this.#host.clock, ms);
  }
}
