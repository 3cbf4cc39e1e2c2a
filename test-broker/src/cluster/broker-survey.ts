import type { Clock } from '../clock.js';
import type { BrokerLoad } from './contract.js';

const PATIENCE = 3_000;

/** What a {@link BrokerSurvey} asks of its broker. */
export interface SurveyHost {
  readonly clock: Clock;
  /** All brokers but this one, and what each says of itself; null for one that does not answer. */
  askPeers(): Iterable<BrokerLoad | null>;
  ownLoad(): BrokerLoad;
}

/**
 * The brokers of the cluster as they are told to clients: kept for a while, and slow to come when a broker does not
 * answer. The server waits for it until the caller's deadline, or 3 seconds, and then tells of the others.
 */
export class BrokerSurvey {
  readonly #host: SurveyHost;
  readonly #maxAge: number;
  #known: { readonly until: number; readonly brokers: readonly BrokerLoad[] } | null = null;

  /** `maxAge`: milliseconds that an answer is kept. */
  constructor(host: SurveyHost, maxAge: number) {
    this.#host = host;
    this.#maxAge = maxAge;
  }

  /** This broker first. `deadline`: milliseconds of `Date.now()`. */
  async take(deadline: number | null): Promise<readonly BrokerLoad[]> {
    if (this.#known && this.#host.clock.now() < this.#known.until) return this.#known.brokers;
    const peers = [...this.#host.askPeers()];
    if (peers.includes(null)) await this.#wait(deadline === null ? PATIENCE : deadline - Date.now());
    const brokers = [this.#host.ownLoad(), ...peers.filter((peer) => peer !== null)];
    this.#known = { until: this.#host.clock.now() + this.#maxAge, brokers };
    return brokers;
  }

  /** Asks anew next time. */
  forget(): void {
    this.#known = null;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#host.clock.after(Math.max(0, ms), resolve));
  }
}
