import type { Clock, ClockTimer } from '../clock.js';
import type { Connectivity } from './connectivity.js';
import type { PartitionState } from './contract.js';
import type { Node } from './node.js';
import { fewestLed } from './placement.js';
import { type ClusterTiming, nextWait } from './timing.js';

// Witnesses do not report at the same moment, and less and less often.
const WITNESS_LIFE = 4;

interface Witnesses {
  readonly brokers: Set<string>;
  readonly timer: ClockTimer;
}

interface Watch {
  readonly timer: ClockTimer;
  /** A report has had no effect already. */
  readonly futile: boolean;
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
  readonly #watches = new Map<string, Watch>();
  readonly #witnesses = new Map<string, Witnesses>();
  /** Some broker has lost another one. */
  #lost = false;

  constructor(host: FailoverHost) {
    this.#host = host;
    host.connectivity.onChange(() => this.#watchAll());
    for (const node of host.nodes.values()) node.onApplied(() => this.#watchFrom(node));
  }

  /** A new metadata leader has heard no report yet. */
  forget(): void {
    for (const { timer } of this.#witnesses.values()) timer.cancel();
    this.#witnesses.clear();
  }

  close(): void {
    this.forget();
    for (const { timer } of this.#watches.values()) timer.cancel();
    this.#watches.clear();
  }

  /** Begins to count where two brokers have lost each other, and stops where they have found each other. */
  #watchAll(): void {
    const { nodes, connectivity } = this.#host;
    this.#lost = false;
    for (const follower of nodes.values()) {
      for (const leader of nodes.keys()) {
        const lost = connectivity.serving(follower.id) && !connectivity.replicating(follower.id, leader);
        // What could not be agreed on before may be now, so a futile wait begins again as well.
        if (!lost || this.#watches.get(pair(follower, leader))?.futile) this.#unwatch(pair(follower, leader));
        this.#lost ||= lost;
      }
      this.#watchFrom(follower);
    }
  }

  /** Something else may be led by a lost leader now. */
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

/** What a follower has a replica of that this broker leads, and that is not paused. */
function ledBy(follower: Node, leader: string): readonly PartitionState[] {
  const led: PartitionState[] = [];
  for (const { state } of follower.replicas) if (state.leader === leader && !state.paused) led.push(state);
  return led;
}
