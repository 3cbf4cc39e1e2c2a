import { deferred } from 'liftbridge-client/protocol';
import type { Clock } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { Connectivity } from './connectivity.js';
import type { Operation } from './contract.js';
import { Forwards } from './forwards.js';
import { LeaderElection } from './leader-election.js';
import type { Member } from './member.js';
import type { OperationLog } from './operation-log.js';
import type { ClusterTiming } from './timing.js';

const LEADER_WAIT_MS = 5_000;
/** The metadata leader returns from these before other brokers, such as the coordinator of the group, apply them. */
const ANSWERED_AT_ONCE: ReadonlySet<Operation['kind']> = new Set(['join-group', 'leave-group']);

/** How an operation is proposed; see `BrokerNode.propose`. */
export interface ProposeOptions {
  readonly deadline: number | null;
  readonly failurePrefix: string;
}

/** Validates and completes operations on the metadata leader before they are committed. */
export interface Validator {
  /** Refuses an operation that contradicts the leader's metadata. Throws RpcError. */
  check(leader: string, operation: Operation): void;
  /**
   * Fills in the leader's decisions: times, placement, coordinator. Returns null when there is nothing to commit, as
   * for a report below the quorum. Throws RpcError.
   */
  complete(leader: string, operation: Operation): Operation | null;
}

interface Pending {
  readonly operation: Operation;
  readonly failurePrefix: string;
  resolve(committed: Committed): void;
  reject(error: RpcError): void;
}

interface Committed {
  readonly index: bigint;
  /** Position in the log behind the operation. */
  readonly position: number;
}

export interface ControllerOptions {
  readonly clock: Clock;
  readonly timing: ClusterTiming;
  readonly connectivity: Connectivity;
  readonly log: OperationLog;
  readonly validator: Validator;
  /** Milliseconds by which a fault delays the operations that a broker applies. */
  delayOf(broker: string): number;
  /** Called with a new metadata leader once it has applied all operations. */
  readonly onLeader: () => void;
}

/**
 * Stands for the Raft log of the cluster. One broker, the metadata leader, checks and commits operations while it
 * reaches a majority. The others forward to it and apply a little later.
 */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #members = new Map<string, Member>();
  readonly #election: LeaderElection;
  readonly #forwards: Forwards;
  #pending: Pending[] = [];

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#election = new LeaderElection(this.#members, options.connectivity, options.clock, options.timing, {
      elected: (leader) => this.#elected(leader),
      steppedDown: () => this.#failPending(),
    });
    this.#forwards = new Forwards(options.clock, options.connectivity);
    options.connectivity.onChange(() => this.#reconnect());
  }

  /** The metadata leader, null while there is none. */
  get leader(): string | null {
    return this.#election.leader;
  }

  add(member: Member): void {
    this.#members.set(member.id, member);
  }

  /** Elects the first leader without waiting for anything. */
  begin(): void {
    this.#election.elect();
  }

  /** The metadata leader, as soon as there is one. Rejects with RpcError after 5 seconds without one. */
  async ready(): Promise<string> {
    const running = [...this.#members.keys()].find((broker) => this.#options.connectivity.running(broker));
    if (running === undefined) throw new RpcError('UNAVAILABLE', 'no broker runs');
    return this.#election.find(running, this.#options.clock.now() + LEADER_WAIT_MS);
  }

  /** See `BrokerNode.propose`. */
  async propose(from: string, operation: Operation, options: ProposeOptions): Promise<bigint> {
    const leader = await this.#election.find(from, options.deadline);
    if (!this.#answers(leader, from)) await this.#forward(from, leader, options);
    const { index, position } = await this.#commit(leader, operation, options.failurePrefix);
    const member = this.#members.get(from)!;
    if (!member.replaying && !ANSWERED_AT_ONCE.has(operation.kind)) await member.reached(position);
    return index;
  }

  /** Commits an operation that the leader itself proposes. Throws RpcError when it is refused or there is no quorum. */
  commitNow(leader: string, operation: Operation): bigint {
    if (!this.#election.canCommit(leader)) throw new RpcError('INTERNAL', 'leadership lost while committing log');
    return this.#append(leader, operation).index;
  }

  /** Resolves once a broker has applied all operations committed so far; rejects when it stops before. */
  applied(broker: string): Promise<void> {
    return this.#members.get(broker)!.reached(this.#options.log.end);
  }

  /** Makes some brokers apply all operations now, so that no message falls between them. */
  catchUp(brokers: Iterable<string>): void {
    for (const broker of brokers) {
      if (this.#hears(broker)) this.#members.get(broker)!.catchUp();
    }
  }

  /** Ends all waits. */
  close(): void {
    this.#election.close();
    this.#forwards.close();
    this.#failPending();
    for (const member of this.#members.values()) member.stop();
  }

  #commit(leader: string, operation: Operation, failurePrefix: string): Promise<Committed> | Committed {
    if (this.#election.canCommit(leader)) return this.#append(leader, operation);
    // A recovered leader checks at once. One that recovers waits until it has its metadata, except for a report, which
    // the server checks by the metadata at hand.
    if (this.#options.connectivity.serving(leader) || operation.kind === 'report-coordinator')
      this.#options.validator.check(leader, operation);
    const { promise, resolve, reject } = deferred<Committed>();
    this.#pending.push({ operation, failurePrefix, resolve, reject });
    return promise;
  }

  #append(leader: string, operation: Operation): Committed {
    const { validator } = this.#options;
    validator.check(leader, operation);
    const completed = validator.complete(leader, operation);
    if (completed === null) return { index: 0n, position: 0 };
    const index = this.#store(completed);
    const position = this.#options.log.end;
    this.#members.get(leader)!.catchUp();
    this.#spread();
    return { index, position };
  }

  #store(operation: Operation): bigint {
    try {
      return this.#options.log.append(operation);
    } catch (error) {
      throw new RpcError('INTERNAL', `failed to store the operation: ${String(error)}`);
    }
  }

  /** Followers learn the committed operations and apply them a little later. */
  #spread(): void {
    const [least, most] = this.#options.timing.applyLag;
    for (const member of this.#members.values()) {
      if (!this.#hears(member.id)) continue;
      const delay = this.#options.delayOf(member.id);
      member.catchUpLater(delay + least + Math.random() * (most - least));
    }
    this.#forget();
  }

  #forget(): void {
    let applied = Number.POSITIVE_INFINITY;
    for (const member of this.#members.values()) applied = Math.min(applied, member.position);
    this.#options.log.forget(applied);
  }

  #elected(leader: string): void {
    this.#members.get(leader)!.catchUp();
    this.#options.onLeader();
    this.#spread();
  }

  #reconnect(): void {
    for (const member of this.#members.values()) {
      if (!this.#options.connectivity.running(member.id)) member.stop();
      // The code below schedules it again, because a fault may have ended its delay.
      else member.pause();
    }
    this.#election.evaluate();
    this.#commitPending();
    this.#forwards.release();
    if (this.leader !== null) this.#spread();
  }

  #commitPending(): void {
    const { leader } = this;
    if (leader === null || !this.#election.canCommit(leader)) return;
    for (const { operation, resolve, reject } of this.#pending.splice(0)) {
      try {
        resolve(this.#append(leader, operation));
      } catch (error) {
        reject(error as RpcError);
      }
    }
  }

  #failPending(): void {
    for (const { failurePrefix, reject } of this.#pending.splice(0)) {
      reject(leadershipLost(failurePrefix));
    }
  }

  /** A leader accepts forwarded operations only after its recovery. */
  #answers(leader: string, from: string): boolean {
    return from === leader || (this.#reaches(from, leader) && this.#options.connectivity.serving(leader));
  }

  /** Without the leader there is no subscriber. For a frozen leader NATS keeps the message. */
  async #forward(from: string, leader: string, { deadline, failurePrefix }: ProposeOptions): Promise<void> {
    const { connectivity } = this.#options;
    if (!connectivity.awaits(from, leader)) throw new RpcError('INTERNAL', this.#whyNoAnswer());
    await this.#forwards.taken(from, leader, deadline);
    if (this.leader !== leader) throw leadershipLost(failurePrefix);
  }

  #whyNoAnswer(): string {
    const { natsDown } = this.#options.connectivity;
    return natsDown ? 'nats: outbound buffer limit exceeded' : 'nats: no responders available for request';
  }

  #hears(broker: string): boolean {
    const { leader } = this;
    return leader !== null && this.#reaches(broker, leader);
  }

  #reaches(from: string, to: string): boolean {
    return this.#options.connectivity.connected(from, to);
  }
}

function leadershipLost(failurePrefix: string): RpcError {
  return new RpcError('INTERNAL', `${failurePrefix}: leadership lost while committing log`);
}
