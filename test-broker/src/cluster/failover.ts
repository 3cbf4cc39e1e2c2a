import type { Clock, ClockTimer } from '../clock.js';
import type { Connectivity } from './connectivity.js';
import type { PartitionState } from './contract.js';
import type { Node } from './node.js';
import { fewestLed } from './placement.js';
import type { ClusterTiming } from './timing.js';

interface Witnesses {
  readonly brokers: Set<string>;
  readonly timer: ClockTimer;
}

/** What a {@link Failover} needs of the cluster. */
export interface FailoverHost {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly connectivity: Connectivity;
  readonly clock: Clock;
  readonly timing: ClusterTiming;
  /** The metadata leader as a broker knows it, if it reaches it. */
  controllerOf(broker: string): string | null;
  changeLeader(controller: string, partition: PartitionState, leader: string): void;
}

/**
 * Followers that get no answer from the leader of a partition report it to the metadata leader, which makes another
 * in-sync replica the leader once more than half of the followers in the ISR have done so.
 */
export class Failover {
  readonly #host: FailoverHost;
  /** By follower and lost leader: when the next report is due. */
  readonly #watches = new Map<string, ClockTimer>();
  readonly #witnesses = new Map<string, Witnesses>();

  constructor(host: FailoverHost) {
    this.#host = host;
    host.connectivity.onChange(() => this.#watch());
  }

  /** A new metadata leader has heard no report yet. */
  forget(): void {
    for (const { timer } of this.#witnesses.values()) timer.cancel();
    this.#witnesses.clear();
  }

  close(): void {
    this.forget();
    for (const timer of this.#watches.values()) timer.cancel();
    this.#watches.clear();
  }

  /** Begins to count where two brokers have lost each other, and stops where they have found each other. */
  #watch(): void {
    const { nodes, connectivity, clock, timing } = this.#host;
    for (const follower of nodes.keys()) {
      for (const leader of nodes.keys()) {
        const key = `${follower}\n${leader}`;
        const lost = connectivity.running(follower) && !connectivity.connected(follower, leader);
        if (lost && !this.#watches.has(key))
          this.#watches.set(
            key,
            clock.every(Math.max(1, timing.leaderTimeout), () => this.#report(follower, leader)),
          );
        if (lost) continue;
        this.#watches.get(key)?.cancel();
        this.#watches.delete(key);
      }
    }
  }

  #report(follower: string, leader: string): void {
    const controller = this.#host.controllerOf(follower);
    if (controller === null) return;
    for (const { state } of [...this.#host.nodes.get(follower)!.replicas]) {
      if (state.leader === leader && !state.paused) this.#hear(controller, follower, state);
    }
  }

  /** The metadata leader hears a report, and passes over one of a leader that it has replaced already. */
  #hear(controller: string, witness: string, reported: PartitionState): void {
    const metadata = this.#host.nodes.get(controller)!.metadata;
    const partition = metadata.partition(reported.stream, reported.id);
    if (!partition || partition.leader !== reported.leader || partition.leaderEpoch !== reported.leaderEpoch) return;
    const seen = this.#add(`${reported.stream}\n${reported.id}`, witness);
    if (seen.size <= Math.floor((partition.isr.size - 1) / 2)) return;
    const leader = this.#successor(controller, partition);
    if (leader === undefined) return;
    this.#drop(`${reported.stream}\n${reported.id}`);
    this.#host.changeLeader(controller, partition, leader);
  }

  /** The in-sync replica that leads the fewest partitions, before those that cannot be reached. */
  #successor(controller: string, { isr, leader, replicas }: PartitionState): string | undefined {
    const { connectivity, nodes } = this.#host;
    const candidates = replicas.filter((broker) => isr.has(broker) && broker !== leader);
    const alive = candidates.filter((broker) => connectivity.connected(controller, broker));
    return fewestLed(alive.length > 0 ? alive : candidates, nodes.get(controller)!.metadata.loads);
  }

  #add(key: string, witness: string): Set<string> {
    const known = this.#witnesses.get(key);
    known?.timer.cancel();
    const brokers = known?.brokers ?? new Set<string>();
    brokers.add(witness);
    const timer = this.#host.clock.after(this.#host.timing.leaderTimeout * 2, () => this.#witnesses.delete(key));
    this.#witnesses.set(key, { brokers, timer });
    return brokers;
  }

  #drop(key: string): void {
    this.#witnesses.get(key)?.timer.cancel();
    this.#witnesses.delete(key);
  }
}
