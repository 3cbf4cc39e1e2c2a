import { deferred } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import { wrongValue } from '../option-error.js';
import { HELD_PHASES, type HeldPhase, type Recovery, type RecoveryPhase } from './phase.js';
import { NO_RECOVERY, type RecoveryPlan } from './plan.js';

/** The effects of the phases on the broker. */
export interface RecoveryHost {
  readonly clock: Clock;
  /** Called when the broker enters a phase of `ms` milliseconds. */
  enter(phase: RecoveryPhase, lasts: number): void;
  /** Whether the broker knows a metadata leader, which a replay needs. */
  knowsLeader(): boolean;
}

interface Waiter {
  readonly phase: RecoveryPhase;
  resolve(): void;
  reject(error: Error): void;
}

const NEXT = { empty: 'replay', replay: 'not-leading', 'not-leading': 'ready' } as const satisfies Record<
  HeldPhase,
  RecoveryPhase
>;
const ORDER: readonly RecoveryPhase[] = ['empty', 'replay', 'not-leading', 'ready'];

/** Moves one broker through the phases of its recovery: by the clock, and past a hold only when a test releases it. */
export class BrokerRecovery implements Recovery {
  readonly ready: Promise<void>;
  readonly #host: RecoveryHost;
  #plan: RecoveryPlan;
  #hold: HeldPhase | null;
  #phase: RecoveryPhase = 'empty';
  #begun = false;
  /** Whether the time of the current phase has passed. */
  #due = false;
  #stopped: Error | null = null;
  #timer: ClockTimer | null = null;
  #waiters: Waiter[] = [];

  constructor(host: RecoveryHost, plan: RecoveryPlan, hold: HeldPhase | null) {
    this.#host = host;
    this.#plan = plan;
    this.#hold = hold;
    this.ready = this.#reached('ready');
    // A test may ignore it.
    this.ready.catch(() => {});
  }

  get phase(): RecoveryPhase {
    return this.#phase;
  }

  /** Enters the first phase. */
  begin(): void {
    this.#begun = true;
    this.#enter('empty');
    this.proceed();
  }

  /** Resolves in the held phase, or once the broker is ready; rejects when it stops before. */
  get held(): Promise<void> {
    return this.#reached(this.#hold ?? 'ready');
  }

  release(hold?: HeldPhase): Promise<void> {
    if (hold !== undefined && !HELD_PHASES.includes(hold))
      return Promise.reject(wrongValue('hold', `one of ${HELD_PHASES.join(', ')}`, hold));
    this.#hold = hold ?? null;
    const reached = this.#reached(hold ?? 'ready');
    this.proceed();
    return reached;
  }

  /** Moves to the end, and waits only for a metadata leader. */
  finish(): Promise<void> {
    this.#plan = NO_RECOVERY;
    this.#due = true;
    return this.release();
  }

  /** Moves to the next phase unless the time, a hold, or a missing metadata leader keeps the broker in its phase. */
  proceed(): void {
    while (
      this.#begun &&
      this.#due &&
      this.#stopped === null &&
      this.#phase !== 'ready' &&
      this.#phase !== this.#hold
    ) {
      if (this.#phase === 'empty' && !this.#host.knowsLeader()) return;
      this.#enter(NEXT[this.#phase]);
    }
  }

  /** Ends the recovery because the broker stops or closes. */
  stop(reason: string): void {
    this.#timer?.cancel();
    this.#stopped = new Error(reason);
    for (const { reject } of this.#waiters.splice(0)) reject(this.#stopped);
  }

  #enter(phase: RecoveryPhase): void {
    this.#timer?.cancel();
    this.#phase = phase;
    const lasts = this.#lengthOf(phase);
    this.#due = lasts === 0;
    if (!this.#due) {
      this.#timer = this.#host.clock.after(lasts, () => {
        this.#due = true;
        this.proceed();
      });
    }
    this.#settle(phase);
    // Last, because it may start the next phase.
    this.#host.enter(phase, lasts);
  }

  #settle(phase: RecoveryPhase): void {
    const reached = ORDER.indexOf(phase);
    const due = this.#waiters.filter((waiter) => ORDER.indexOf(waiter.phase) <= reached);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const { resolve } of due) resolve();
  }

  #lengthOf(phase: RecoveryPhase): number {
    if (phase === 'ready') return 0;
    return phase === 'not-leading' ? this.#plan.notLeading : this.#plan[phase];
  }

  #reached(phase: RecoveryPhase): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped);
    if (this.#begun && ORDER.indexOf(this.#phase) >= ORDER.indexOf(phase)) return Promise.resolve();
    const { promise, resolve, reject } = deferred();
    this.#waiters.push({ phase, resolve, reject });
    return promise;
  }
}
