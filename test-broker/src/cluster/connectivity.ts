import type { Faults } from '../faults.js';

/** The brokers that run, and the connections between them. */
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
   * Whether two brokers reach each other: both run, neither is frozen, and no fault separates them. A broker reaches
   * itself.
   */
  connected(a: string, b: string): boolean {
    if (!this.#running.has(a) || !this.#running.has(b)) return false;
    if (a === b) return true;
    return !this.#frozen(a) && !this.#frozen(b) && this.#linked(a, b);
  }

  /** Whether only a freeze separates `to` from `from`: NATS then keeps the messages for `to`. */
  awaits(from: string, to: string): boolean {
    return this.#running.has(from) && this.#serving.has(to) && this.#frozen(to) && this.#linked(from, to);
  }

  /** Whether a broker runs and has recovered, so that its partitions run too. */
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

  /** Marks a broker as running, or as stopped, in the metadata of the cluster. */
  setRunning(broker: string, running: boolean): void {
    if (running) this.#running.add(broker);
    else {
      this.#running.delete(broker);
      this.#serving.delete(broker);
    }
    this.#tell();
  }

  /** Marks the partitions of a running broker as running. */
  setServing(broker: string): void {
    this.#serving.add(broker);
    this.#tell();
  }

  /** Marks a broker and its partitions as running. */
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

  /** Whether no fault separates two brokers. */
  #linked(a: string, b: string): boolean {
    const { network } = this.#faults;
    return !network.natsDown && !network.isPartitioned(this.#places.get(a)!, this.#places.get(b)!);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
