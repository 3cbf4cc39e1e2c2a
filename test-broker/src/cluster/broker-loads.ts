/** The number of partitions that a broker holds, and of those that it leads. */
export interface Load {
  readonly partitions: number;
  readonly leaders: number;
}

interface Placed {
  readonly replicas: readonly string[];
  readonly leader: string;
}

const NONE: Load = Object.freeze({ partitions: 0, leaders: 0 });

/**
 * The number of partitions that each broker holds and leads, counted as the server does: it subtracts a partition at
 * every pause, and again at its deletion, whether it was counted or not. No count falls below zero.
 */
export class BrokerLoads {
  readonly #loads = new Map<string, Load>();

  of(broker: string): Load {
    return this.#loads.get(broker) ?? NONE;
  }

  /** Adds a partition. */
  add(partition: Placed): void {
    this.#change(partition, 1);
  }

  /** Subtracts a partition. */
  remove(partition: Placed): void {
    this.#change(partition, -1);
  }

  /** Moves the leadership of a partition to another broker. */
  move(from: string, to: string): void {
    this.#shift(from, 0, -1);
    this.#shift(to, 0, 1);
  }

  #change({ replicas, leader }: Placed, by: 1 | -1): void {
    for (const replica of replicas) this.#shift(replica, by, replica === leader ? by : 0);
  }

  #shift(broker: string, partitions: number, leaders: number): void {
    const load = this.of(broker);
    this.#loads.set(broker, {
      partitions: Math.max(0, load.partitions + partitions),
      leaders: Math.max(0, load.leaders + leaders),
    });
  }
}
