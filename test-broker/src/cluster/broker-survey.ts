import type { Clock } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { ResolvedSettings } from '../settings.js';
import type { BrokerLoad } from './contract.js';

const PATIENCE = 3_000;
/** How long a quick survey waits for a broker that the one before has missed already. */
const QUICK = 100;
/** Milliseconds that a quick cluster keeps an answer. */
const QUICK_AGE = 1_000;

/** What a {@link BrokerSurvey} asks of its broker. */
export interface SurveyHost {
  readonly clock: Clock;
  /** All brokers but this one, and what each says of itself; null for one that does not answer. */
  askPeers(): Iterable<BrokerLoad | null>;
  ownLoad(): BrokerLoad;
  /** Whether NATS, by which brokers are asked, cannot be reached. */
  natsDown(): boolean;
  /** Whether a broker is left out of the answers, by its id. */
  isUnlisted(broker: string): boolean;
}

/** How long an answer is kept. */
export interface SurveyTiming {
  readonly maxAge: number;
  /** A broker that was missed before is not waited for a second time, so that a cluster with a dead broker stays quick. */
  readonly quick: boolean;
}

/** As the setting says where it is given; else in about the proportion in which all times of a cluster are scaled. */
export function surveyTiming({ settings, given }: Pick<ResolvedSettings, 'settings' | 'given'>): SurveyTiming {
  const name = 'metadata.cache.max.age';
  return given.has(name) ? { maxAge: settings[name], quick: false } : { maxAge: QUICK_AGE, quick: true };
}

/**
 * The brokers of the cluster as they are told to clients: kept for a while, and slow to come when a broker does not
 * answer. The server waits for it until the caller's deadline, or 3 seconds, and then tells of the others.
 */
export class BrokerSurvey {
  readonly #host: SurveyHost;
  readonly #timing: SurveyTiming;
  #known: { readonly until: number; readonly brokers: readonly BrokerLoad[] } | null = null;
  /** How many brokers the last survey has missed. */
  #missed = 0;

  constructor(host: SurveyHost, timing: SurveyTiming) {
    this.#host = host;
    this.#timing = timing;
  }

  /** This broker first. Rejects with RpcError when the answer is too old and NATS is down. `deadline`: milliseconds of the broker's clock. */
  async take(deadline: number | null): Promise<readonly BrokerLoad[]> {
    const brokers = await this.#survey(deadline);
    return brokers.filter(({ id }, index) => index === 0 || !this.#host.isUnlisted(id));
  }

  async #survey(deadline: number | null): Promise<readonly BrokerLoad[]> {
    if (this.#known && this.#host.clock.now() < this.#known.until) return this.#known.brokers;
    if (this.#host.natsDown()) throw new RpcError('INTERNAL', 'nats: outbound buffer limit exceeded');
    const peers = [...this.#host.askPeers()];
    const missing = peers.filter((peer) => peer === null).length;
    if (missing > 0) await this.#wait(missing, deadline === null ? PATIENCE : deadline - this.#host.clock.now());
    this.#missed = missing;
    const brokers = [this.#host.ownLoad(), ...peers.filter((peer) => peer !== null)];
    this.#known = { until: this.#host.clock.now() + this.#timing.maxAge, brokers };
    return brokers;
  }

  /** Asks again next time. */
  forget(): void {
    this.#missed = 0;
    this.#known = null;
  }

  #wait(missing: number, left: number): Promise<void> {
    const ms = this.#timing.quick && missing <= this.#missed ? Math.min(QUICK, left) : left;
    return new Promise((resolve) => this.#host.clock.after(Math.max(0, ms), resolve));
  }
}
