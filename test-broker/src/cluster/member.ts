import type { Clock, ClockTimer } from '../clock.js';
import { deferred } from '../deferred.js';
import { RpcError } from '../grpc/status.js';
import type { LoggedOperation, OperationLog } from './operation-log.js';

/** An operation is committed when it is waited for, so a broker that is cut off meanwhile is not waited for for long. */
const MAX_APPLY_WAIT_MS = 500;

interface Waiter {
  readonly position: number;
  readonly timer: ClockTimer;
  resolve(): void;
  reject(error: RpcError): void;
}

/** A broker as the controller sees it: how far it has applied the operations, and whom it takes for the leader. */
export class Member {
  readonly id: string;
  /** The broker restarts and does not know yet what is committed: it applies nothing. */
  replaying = false;
  /** Told when the broker learns who the metadata leader is. */
  onLeader: () => void = () => {};
  readonly #clock: Clock;
  readonly #log: OperationLog;
  readonly #apply: (entry: LoggedOperation) => void;
  #leader: string | null = null;
  #position = 0;
  #applying = false;
  #timer: ClockTimer | null = null;
  #waiters: Waiter[] = [];

  constructor(id: string, clock: Clock, log: OperationLog, apply: (entry: LoggedOperation) => void) {
    this.id = id;
    this.#clock = clock;
    this.#log = log;
    this.#apply = apply;
  }

  /** The metadata leader by its own belief. */
  get leader(): string | null {
    return this.#leader;
  }

  set leader(leader: string | null) {
    const news = leader !== null && leader !== this.#leader;
    this.#leader = leader;
    if (news) this.onLeader();
  }

  /** The position behind the last operation that it has applied. */
  get position(): number {
    return this.#position;
  }

  /** Applies everything that is committed, now. */
  catchUp(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.replaying) return;
    // What an operation sets off may be another one: it is applied when this one is through.
    if (this.#applying) return;
    this.#applying = true;
    try {
      while (this.#position < this.#log.end) this.#apply(this.#log.at(this.#position++));
    } finally {
      this.#applying = false;
    }
    this.#release();
  }

  /** Applies what is committed after a while. */
  catchUpLater(ms: number): void {
    if (this.replaying || this.#timer || this.#position === this.#log.end) return;
    this.#timer = this.#clock.after(ms, () => this.catchUp());
  }

  /**
   * Resolves once the broker has applied everything before this position, or is late with it by half a second; rejects
   * when it is stopped before.
   */
  reached(position: number): Promise<void> {
    if (this.#position >= position) return Promise.resolve();
    const { promise, resolve, reject } = deferred();
    const timer = this.#clock.after(MAX_APPLY_WAIT_MS, () => this.#settle(waiter, waiter.resolve));
    const waiter: Waiter = { position, timer, resolve, reject };
    this.#waiters.push(waiter);
    return promise;
  }

  /** It is cut off from the leader: nothing is applied until it catches up again. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The broker stops, and what waits for it fails. */
  stop(): void {
    this.pause();
    this.leader = null;
    const error = new RpcError('UNAVAILABLE', 'broker is stopped');
    for (const waiter of this.#waiters) this.#settle(waiter, () => waiter.reject(error));
  }

  #release(): void {
    for (const waiter of this.#waiters) if (waiter.position <= this.#position) this.#settle(waiter, waiter.resolve);
  }

  #settle(waiter: Waiter, how: () => void): void {
    waiter.timer.cancel();
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    how();
  }
}
