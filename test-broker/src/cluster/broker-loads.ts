/** Partitions that a broker holds, and those of them that it leads. */
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
 * How many partitions each broker holds and leads, as the server counts: it takes a partition off at every pause, and
 * once more when it is deleted, whether it was counted or not. No count falls below zero.
 */
export class BrokerLoads {
  readonly #loads = new Map<string, Load>();

  of(broker: string): Load {
    return this.#loads.get(broker) ?? NONE;
  }

  /** Counts a partition in. */
  add(partition: Placed): void {
    this.#change(partition, 1);
  }

  /** Takes a partition off. */
  remove(partition: Placed): void {
    this.#change(partition, -1);
  }

  /** Counts the leadership of a partition for another broker. */
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
