import type { Clock, ClockTimer } from '../clock.js';
import { BrokerRecovery } from '../recovery/broker-recovery.js';
import type { HeldPhase, RecoveryPhase } from '../recovery/phase.js';
import type { RecoveryPlan } from '../recovery/plan.js';
import type { Connectivity } from './connectivity.js';
import type { Member } from './member.js';
import type { Node } from './node.js';
import type { LoggedOperation, OperationLog } from './operation-log.js';
import { EMPTY_VIEW, ReplayedMetadata } from './replayed-metadata.js';

/** The parts of the cluster that {@link Recoveries} work with. */
export interface RecoveriesHost {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: ReadonlyMap<string, Member>;
  readonly connectivity: Connectivity;
  readonly clock: Clock;
  readonly log: OperationLog;
  /** Makes a broker apply all committed operations. */
  catchUp(broker: string): void;
}

/** Number of steps of a replay, so that streams appear one after the other. */
const STEPS = 8;

/** The brokers that recover from a restart: their view and their work in each phase. */
export class Recoveries {
  readonly #host: RecoveriesHost;
  readonly #running = new Map<string, BrokerRecovery>();
  readonly #steps = new Map<string, ClockTimer>();

  constructor(host: RecoveriesHost) {
    this.#host = host;
    for (const [broker, member] of host.members) {
      member.onLeader = () => this.#running.get(broker)?.proceed();
    }
  }

  /** The recovery of a broker that is not ready yet. */
  get(broker: string): BrokerRecovery | undefined {
    return this.#running.get(broker);
  }

  /** Hides the metadata of a broker before it listens. */
  hide(broker: string): void {
    this.#member(broker).replaying = true;
    this.#node(broker).show(EMPTY_VIEW);
  }

  /**
   * Starts a broker from a snapshot of all its metadata: it shows the metadata at once, and none of its existing
   * partitions and groups starts.
   */
  beginSilently(broker: string): void {
    const node = this.#node(broker);
    this.#host.connectivity.setRunning(broker, true);
    this.#host.catchUp(broker);
    node.reopen(true);
    node.serve(true);
    this.#host.connectivity.setServing(broker);
  }

  /**
   * Removes streams that were deleted and recreated from the groups of a broker, like a server that replays the
   * deletion after it has restored the groups. The groups then have a greater epoch, on this broker only.
   */
  loseRecreatedStreams(broker: string): void {
    const { log } = this.#host;
    const entries = log.history(log.end) ?? [];
    const last = entries[entries.length - 1];
    if (!last) return;
    for (const stream of recreated(entries)) this.#node(broker).metadata.dropFromGroups(stream, last.index);
  }

  /** Moves a listening broker through its phases. */
  begin(broker: string, plan: RecoveryPlan, hold: HeldPhase | null): BrokerRecovery {
    const recovery: BrokerRecovery = new BrokerRecovery(
      {
        clock: this.#host.clock,
        enter: (phase, lasts) => this.#enter(broker, phase, lasts),
        knowsLeader: () => this.#knowsLeader(broker),
      },
      plan,
      hold,
    );
    this.#running.set(broker, recovery);
    recovery.begin();
    return recovery;
  }

  /** Ends the recovery of a broker that stops. */
  stop(broker: string, reason: string): void {
    this.#steps.get(broker)?.cancel();
    this.#running.get(broker)?.stop(reason);
    this.#running.delete(broker);
    this.#member(broker).replaying = false;
  }

  close(): void {
    for (const broker of [...this.#running.keys()]) this.stop(broker, 'the test broker is closed');
  }

  #enter(broker: string, phase: RecoveryPhase, lasts: number): void {
    this.#steps.get(broker)?.cancel();
    switch (phase) {
      case 'empty':
        this.hide(broker);
        // A single broker becomes the metadata leader at the end of this phase; in a cluster it votes and forwards
        // during it.
        if (this.#host.nodes.size > 1) this.#host.connectivity.setRunning(broker, true);
        return;
      case 'replay':
        this.#replay(broker, lasts);
        return;
      case 'not-leading':
        this.#member(broker).replaying = false;
        this.#host.catchUp(broker);
        this.#node(broker).show(null);
        return;
      case 'ready':
        this.#running.delete(broker);
        this.#node(broker).serve();
        this.#host.connectivity.setServing(broker);
    }
  }

  #knowsLeader(broker: string): boolean {
    const { connectivity } = this.#host;
    if (!connectivity.running(broker)) connectivity.setRunning(broker, true);
    return this.#member(broker).leader !== null;
  }

  #replay(broker: string, lasts: number): void {
    const { log } = this.#host;
    const node = this.#node(broker);
    const { position } = this.#member(broker);
    const entries = log.history(position);
    node.reopen(true);
    if (entries === null) {
      node.show(null);
      return;
    }
    const missed = Array.from({ length: log.end - position }, (_, i) => log.at(position + i));
    const past = new ReplayedMetadata(broker, entries, missed);
    node.show(past);
    // A replay of length 0 ends at once, or when a test releases it.
    this.#advance(broker, past, lasts === 0 ? 1 : 1 / STEPS, lasts / STEPS);
  }

  #advance(broker: string, past: ReplayedMetadata, part: number, step: number): void {
    past.advance(part);
    if (part >= 1) return;
    const timer = this.#host.clock.after(step, () => this.#advance(broker, past, part + 1 / STEPS, step));
    this.#steps.set(broker, timer);
  }

  #node(broker: string): Node {
    return this.#host.nodes.get(broker)!;
  }

  #member(broker: string): Member {
    return this.#host.members.get(broker)!;
  }
}

/** The streams that were deleted and recreated. */
function recreated(entries: readonly LoggedOperation[]): Set<string> {
  const deleted = new Set<string>();
  const again = new Set<string>();
  for (const { operation } of entries) {
    if (operation.kind === 'delete-stream') deleted.add(operation.name);
    else if (operation.kind === 'create-stream' && deleted.has(operation.name)) again.add(operation.name);
  }
  return again;
}
