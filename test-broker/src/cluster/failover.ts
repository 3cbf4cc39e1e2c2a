import type { Clock, ClockTimer } from '../clock.js';
import type { Connectivity } from './connectivity.js';
import type { PartitionState } from './contract.js';
import type { Node } from './node.js';
import { fewestLed } from './placement.js';
import { type ClusterTiming, nextWait } from './timing.js';

// Followers do not report at the same moment, and their reports become rarer.
const WITNESS_LIFE = 4;

interface Witnesses {
  readonly brokers: Set<string>;
  readonly timer: ClockTimer;
}

interface Watch {
  readonly timer: ClockTimer;
  /** An earlier report had no effect. */
  readonly futile: boolean;
}

/** The parts of the cluster that a {@link Failover} works with. */
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
 * Replaces lost leaders of partitions. A follower without a response from the leader reports it to the metadata leader.
 * Once more than half of the followers in the ISR have reported, another in-sync replica becomes the leader.
 */
export class Failover {
  readonly #host: FailoverHost;
  /** Time of the next report, by follower and lost leader. */
  readonly #watches = new Map<string, Watch>();
  readonly #witnesses = new Map<string, Witnesses>();
  /** Whether some broker has lost another one. */
  #lost = false;

  constructor(host: FailoverHost) {
    this.#host = host;
    host.connectivity.onChange(() => this.#watchAll());
    for (const node of host.nodes.values()) node.onApplied(() => this.#watchFrom(node));
  }

  /** A new metadata leader has received no report yet. */
  forget(): void {
    for (const { timer } of this.#witnesses.values()) timer.cancel();
    this.#witnesses.clear();
  }

  close(): void {
    this.forget();
    for (const { timer } of this.#watches.values()) timer.cancel();
    this.#watches.clear();
  }

  /** Starts a timer for each pair of brokers that lost each other, and stops it when they are connected again. */
  #watchAll(): void {
    const { nodes, connectivity } = this.#host;
    this.#lost = false;
    for (const follower of nodes.values()) {
      for (const leader of nodes.keys()) {
        const lost = connectivity.serving(follower.id) && !connectivity.replicating(follower.id, leader);
        // A proposal that failed before may succeed now, so its wait starts again too.
        if (!lost || this.#watches.get(pair(follower, leader))?.futile) this.#unwatch(pair(follower, leader));
        this.#lost ||= lost;
      }
      this.#watchFrom(follower);
    }
  }

  /** A lost leader may lead other partitions now. */
  #watchFrom(follower: Node): void {
    const { nodes, connectivity, timing } = this.#host;
    if (!this.#lost || !connectivity.serving(follower.id)) return;
    for (const leader of nodes.keys()) {
      if (!connectivity.replicating(follower.id, leader)) this.#watch(follower, leader, timing.leaderTimeout);
    }
  }

  #watch(follower: Node, leader: string, wait: number, futile = false): void {
    const key = pair(follower, leader);
    if (this.#watches.has(key) || ledBy(follower, leader).length === 0) return;
    const timer = this.#host.clock.after(wait, () => {
      this.#watches.delete(key);
      this.#report(follower, leader);
      this.#watch(follower, leader, nextWait(wait), true);
    });
    this.#watches.set(key, { timer, futile });
  }

  #unwatch(key: string): void {
    this.#watches.get(key)?.timer.cancel();
    this.#watches.delete(key);
  }

  #report(follower: Node, leader: string): void {
    const controller = this.#host.controllerOf(follower.id);
    if (controller === null) return;
    for (const partition of ledBy(follower, leader)) this.#hear(controller, follower.id, partition);
  }

  /** The metadata leader receives a report, and ignores one about a leader that it has already replaced. */
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

  /** The in-sync replica that leads the fewest partitions; unreachable replicas come last. */
  #successor(controller: string, { isr, leader, replicas }: PartitionState): string | undefined {
    const { connectivity, nodes } = this.#host;
    const candidates = replicas.filter((broker) => isr.has(broker) && broker !== leader);
    const alive = candidates.filter((broker) => connectivity.replicating(controller, broker));
    return fewestLed(alive.length > 0 ? alive : candidates, nodes.get(controller)!.metadata.loads);
  }

  #add(key: string, witness: string): Set<string> {
    const known = this.#witnesses.get(key);
    known?.timer.cancel();
    const brokers = known?.brokers ?? new Set<string>();
    brokers.add(witness);
    const timer = this.#host.clock.after(WITNESS_LIFE * this.#host.timing.leaderTimeout, () =>
      this.#witnesses.delete(key),
    );
    this.#witnesses.set(key, { brokers, timer });
    return brokers;
  }

  #drop(key: string): void {
    this.#witnesses.get(key)?.timer.cancel();
    this.#witnesses.delete(key);
  }
}

function pair(follower: Node, leader: string): string {
  return `${follower.id}\n${leader}`;
}

/** The partitions that this broker leads, that are not paused, and of which the follower has a replica. */
function ledBy(follower: Node, leader: string): readonly PartitionState[] {
  const led: PartitionState[] = [];
  for (const { state } of follower.replicas) if (state.leader === leader && !state.paused) led.push(state);
  return led;
}
