import { deferred } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { Connectivity } from './connectivity.js';
import type { Member } from './member.js';
import type { ClusterTiming } from './timing.js';

/** Callbacks of an election. */
export interface ElectionEvents {
  elected(leader: string): void;
  steppedDown(): void;
}

interface Seeker {
  readonly broker: string;
  readonly timer: ClockTimer;
  resolve(leader: string): void;
  reject(error: RpcError): void;
}

/**
 * Elects the metadata leader and tracks which brokers follow it. A lost leader keeps its followers for a while, then no
 * broker has a leader, and then the broker with a majority and the newest metadata takes over.
 */
export class LeaderElection {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #connectivity: Connectivity;
  readonly #clock: Clock;
  readonly #timeout: number;
  readonly #events: ElectionEvents;
  #leader: string | null = null;
  /** The leader was down since its election: a restart does not restore its leadership. */
  #deposed = false;
  #doubt: ClockTimer | null = null;
  #due: ClockTimer | null = null;
  #seekers: Seeker[] = [];

  constructor(
    members: ReadonlyMap<string, Member>,
    connectivity: Connectivity,
    clock: Clock,
    timing: ClusterTiming,
    events: ElectionEvents,
  ) {
    this.#members = members;
    this.#connectivity = connectivity;
    this.#clock = clock;
    this.#timeout = timing.electionTimeout;
    this.#events = events;
  }

  get leader(): string | null {
    return this.#leader;
  }

  /** Whether this broker leads, has recovered and reaches a majority. */
  canCommit(broker: string): boolean {
    return broker === this.#leader && this.#connectivity.serving(broker) && this.#leads(broker);
  }

  /**
   * The leader that a broker follows. Without one, a call with a deadline waits for one until then. Rejects with
   * INTERNAL `no known metadata leader`.
   */
  async find(from: string, deadline: number | null): Promise<string> {
    const known = this.#members.get(from)!.leader;
    if (known !== null) return known;
    const left = deadline === null ? 0 : deadline - this.#clock.now();
    if (left <= 0) throw unknownLeader();
    const { promise, resolve, reject } = deferred<string>();
    const timer = this.#clock.after(left, () => this.#giveUp(seeker));
    const seeker: Seeker = { broker: from, timer, resolve, reject };
    this.#seekers.push(seeker);
    return promise;
  }

  /** Evaluates the current network: which brokers have lost the leader, and whether an election is due. */
  evaluate(): void {
    const leader = this.#leader;
    if (leader !== null && !this.#connectivity.running(leader)) this.#deposed = true;
    if (leader !== null && this.#leads(leader)) {
      this.#due?.cancel();
      this.#due = null;
      this.#announce(leader);
    } else this.#due ??= this.#clock.after(this.#members.size === 1 ? 0 : this.#timeout, () => this.elect());
    if ([...this.#members.values()].some((member) => this.#doubts(member)))
      this.#doubt ??= this.#clock.after(this.#timeout / 2, () => this.#loseFaith());
  }

  /** Makes the best candidate the leader, unless the current leader still has a majority. */
  elect(): void {
    this.#due = null;
    if (this.#leader !== null && this.#leads(this.#leader)) return;
    this.#stepDown();
    const candidate = this.#candidate();
    if (candidate === null) return;
    this.#leader = candidate;
    this.#events.elected(candidate);
    this.#announce(candidate);
  }

  close(): void {
    this.#doubt?.cancel();
    this.#due?.cancel();
    for (const seeker of [...this.#seekers]) this.#giveUp(seeker);
  }

  #stepDown(): void {
    const former = this.#leader;
    this.#leader = null;
    this.#deposed = false;
    if (former === null) return;
    for (const member of this.#members.values()) if (member.leader === former) member.leader = null;
    this.#events.steppedDown();
  }

  /** All brokers that reach the leader follow it. */
  #announce(leader: string): void {
    for (const member of this.#members.values()) {
      if (this.#connectivity.connected(member.id, leader)) member.leader = leader;
    }
    for (const seeker of [...this.#seekers]) {
      const found = this.#members.get(seeker.broker)!.leader;
      if (found === null) continue;
      this.#dismiss(seeker);
      seeker.resolve(found);
    }
  }

  #doubts({ id, leader }: Member): boolean {
    return leader !== null && leader !== id && !this.#connectivity.connected(id, leader);
  }

  #loseFaith(): void {
    this.#doubt = null;
    for (const member of this.#members.values()) if (this.#doubts(member)) member.leader = null;
  }

  /**
   * The broker with a majority that has applied the most operations, the first of several. Brokers that recover come
   * last.
   */
  #candidate(): string | null {
    const serves = ({ id }: Member) => Number(this.#connectivity.serving(id));
    const candidates = [...this.#members.values()].filter(({ id }) => this.#hasQuorum(id));
    candidates.sort((a, b) => serves(b) - serves(a) || b.position - a.position);
    return candidates[0]?.id ?? null;
  }

  #leads(leader: string): boolean {
    return !this.#deposed && this.#hasQuorum(leader);
  }

  #hasQuorum(broker: string): boolean {
    let reached = 0;
    for (const other of this.#members.keys()) if (this.#connectivity.connected(broker, other)) reached++;
    return reached > this.#members.size / 2;
  }

  #giveUp(seeker: Seeker): void {
    this.#dismiss(seeker);
    seeker.reject(unknownLeader());
  }

  #dismiss(seeker: Seeker): void {
    seeker.timer.cancel();
    this.#seekers = this.#seekers.filter((other) => other !== seeker);
  }
}

function unknownLeader(): RpcError {
  return new RpcError('INTERNAL', 'no known metadata leader');
}
