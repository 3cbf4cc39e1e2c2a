import { deferred } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { LoggedOperation, OperationLog } from './operation-log.js';

/** How long a caller waits until a broker has applied a committed operation: a broker may be cut off meanwhile. */
const MAX_APPLY_WAIT_MS = 500;

interface Waiter {
  readonly position: number;
  readonly timer: ClockTimer;
  resolve(): void;
  reject(error: RpcError): void;
}

/** A broker as the controller sees it: its position in the log, and the leader that it follows. */
export class Member {
  readonly id: string;
  /** Whether the broker restarts and does not know yet which operations are committed: it applies none. */
  replaying = false;
  /** Called when the broker learns who the metadata leader is. */
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

  /** The metadata leader that the broker follows; null for none. */
  get leader(): string | null {
    return this.#leader;
  }

  set leader(leader: string | null) {
    const news = leader !== null && leader !== this.#leader;
    this.#leader = leader;
    if (news) this.onLeader();
  }

  /** The position behind the last applied operation. */
  get position(): number {
    return this.#position;
  }

  /** Applies all committed operations now. */
  catchUp(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.replaying) return;
    // An operation may cause another one, which is applied after it.
    if (this.#applying) return;
    this.#applying = true;
    try {
      while (this.#position < this.#log.end) this.#apply(this.#log.at(this.#position++));
    } finally {
      this.#applying = false;
    }
    this.#release();
  }

  /** Applies all committed operations after some milliseconds. */
  catchUpLater(ms: number): void {
    if (this.replaying || this.#timer || this.#position === this.#log.end) return;
    this.#timer = this.#clock.after(ms, () => this.catchUp());
  }

  /**
   * Resolves once the broker has applied everything before this position, or half a second later; rejects when the
   * broker stops before.
   */
  reached(position: number): Promise<void> {
    if (this.#position >= position) return Promise.resolve();
    const { promise, resolve, reject } = deferred();
    const timer = this.#clock.after(MAX_APPLY_WAIT_MS, () => this.#settle(waiter, waiter.resolve));
    const waiter: Waiter = { position, timer, resolve, reject };
    this.#waiters.push(waiter);
    return promise;
  }

  /** Stops applying operations until the next `catchUp`: the broker is cut off from the leader. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Stops the broker and rejects all waits for it. */
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
