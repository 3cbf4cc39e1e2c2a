import type { Faults } from '../faults.js';

/** Which brokers run, and which of them reach each other. */
export class Connectivity {
  readonly #places: ReadonlyMap<string, number>;
  readonly #faults: Faults;
  readonly #running = new Set<string>();
  /** Brokers whose partitions run. */
  readonly #serving = new Set<string>();
  readonly #listeners = new Set<() => void>();
  readonly #unlisten: () => void;

  /** `brokers`: the ids of all brokers, in the order of their indexes. */
  constructor(brokers: readonly string[], faults: Faults) {
    this.#places = new Map(brokers.map((broker, index) => [broker, index]));
    this.#faults = faults;
    this.#unlisten = faults.onChange(() => this.#tell());
  }

  running(broker: string): boolean {
    return this.#running.has(broker);
  }

  /**
   * Whether two brokers reach each other: both run, neither is frozen, and NATS and the network between them are whole.
   * A broker reaches itself.
   */
  connected(a: string, b: string): boolean {
    if (!this.#running.has(a) || !this.#running.has(b)) return false;
    if (a === b) return true;
    return !this.#frozen(a) && !this.#frozen(b) && this.#linked(a, b);
  }

  /** Whether `to` is frozen and would be reached otherwise: NATS keeps what `from` sends to it. */
  awaits(from: string, to: string): boolean {
    return this.#running.has(from) && this.#serving.has(to) && this.#frozen(to) && this.#linked(from, to);
  }

  /** Whether a broker runs and has recovered, so that its partitions run as well. */
  serving(broker: string): boolean {
    return this.#serving.has(broker);
  }

  /** Whether the partitions of two brokers reach each other. */
  replicating(a: string, b: string): boolean {
    return this.#serving.has(a) && this.#serving.has(b) && this.connected(a, b);
  }

  /** Whether no broker reaches NATS. */
  get natsDown(): boolean {
    return this.#faults.network.natsDown;
  }

  /** A broker is up, as far as the metadata of the cluster goes, or it is down. */
  setRunning(broker: string, running: boolean): void {
    if (running) this.#running.add(broker);
    else {
      this.#running.delete(broker);
      this.#serving.delete(broker);
    }
    this.#tell();
  }

  /** The partitions of a broker that is up run from now on. */
  setServing(broker: string): void {
    this.#serving.add(broker);
    this.#tell();
  }

  /** A broker is up and its partitions run. */
  setUp(broker: string): void {
    this.#running.add(broker);
    this.setServing(broker);
  }

  /** Calls back after every change, in the order of the calls. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    this.#unlisten();
    this.#listeners.clear();
  }

  #frozen(broker: string): boolean {
    return this.#faults.network.isFrozen(this.#places.get(broker)!);
  }

  /** Whether NATS and the network between two brokers are whole. */
  #linked(a: string, b: string): boolean {
    const { network } = this.#faults;
    return !network.natsDown && !network.isPartitioned(this.#places.get(a)!, this.#places.get(b)!);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
