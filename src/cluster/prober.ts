import { sleep } from '../async/sleep.js';
import { clearInterval, setInterval } from '../async/timers.js';
import type { BrokerConnection, ConnectionSettings } from './broker-connection.js';
import type { Pool } from './pool.js';
import { MEASURE_INTERVAL_MS, MIN_REVIVE_PAUSE_MS } from './timing.js';
import { BRIEF_REQUEST } from './unary-calls.js';

/** Asks one broker for metadata of the streams and measures the round trip. Rejects with RpcFailure. */
export type Ask = (connection: BrokerConnection, streams: readonly string[]) => Promise<void>;

/** Probes brokers in the background: reconnects to those that stopped answering, and measures latencies for the selection. */
export class Prober {
  readonly #pool: Pool;
  readonly #settings: ConnectionSettings;
  readonly #ask: Ask;
  readonly #reviving = new Set<BrokerConnection>();
  #timer: NodeJS.Timeout | null = null;

  constructor(pool: Pool, settings: ConnectionSettings, ask: Ask) {
    this.#pool = pool;
    this.#settings = settings;
    this.#ask = ask;
  }

  /** Asks a broker once. Rejects with RpcFailure. */
  probe(connection: BrokerConnection): Promise<void> {
    return this.#ask(connection, BRIEF_REQUEST);
  }

  /** Starts to measure, where the selection goes by measurements. */
  start(): void {
    if (this.#settings.options.serverSelection === 'random') return;
    void this.#measureAll();
    this.#timer = setInterval(() => void this.#measureAll(), MEASURE_INTERVAL_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Tries a broker again and again, until it answers, leaves the cluster or the client closes. */
  revive(connection: BrokerConnection): void {
    if (this.#reviving.has(connection)) return;
    this.#reviving.add(connection);
    void this.#keepTrying(connection).finally(() => this.#reviving.delete(connection));
  }

  async #keepTrying(connection: BrokerConnection): Promise<void> {
    const { closed } = this.#settings;
    while (connection.up === false && this.#pool.has(connection) && !closed.aborted) {
      const pause = Math.max(MIN_REVIVE_PAUSE_MS, connection.backoff);
      // An abort of this wait means that the client closes: the condition of the loop ends it.
      await sleep(pause, closed, { ref: false }).catch(() => undefined);
      if (!closed.aborted) await this.#try(connection);
    }
  }

  async #measureAll(): Promise<void> {
    await Promise.all([...this.#pool.connections].filter(({ up }) => up !== false).map((one) => this.#try(one)));
  }

  async #try(connection: BrokerConnection): Promise<void> {
    try {
      await this.probe(connection);
    } catch (error) {
      this.#settings.options.logger.debug({ broker: connection.id, err: error }, 'broker does not answer');
    }
  }
}
