import { deferred } from 'liftbridge-client/protocol';
import type { Clock, ClockTimer } from '../clock.js';
import { RpcError } from '../grpc/status.js';
import type { Connectivity } from './connectivity.js';

/** How long a broker waits for the response to a forwarded operation whose caller sets no deadline. */
const PROPAGATE_TIMEOUT_MS = 5_000;

interface Forward {
  readonly from: string;
  readonly leader: string;
  readonly timer: ClockTimer;
  /** The process of the leader has ended, and the messages that NATS kept for it are lost. */
  lost: boolean;
  resolve(): void;
  reject(error: RpcError): void;
}

/**
 * Operations that brokers have forwarded to a frozen metadata leader. NATS keeps them for the leader. So the brokers
 * receive no response and no error about a missing subscriber, and they do not forward again when another leader is
 * elected.
 */
export class Forwards {
  readonly #clock: Clock;
  readonly #connectivity: Connectivity;
  readonly #waiting = new Set<Forward>();

  constructor(clock: Clock, connectivity: Connectivity) {
    this.#clock = clock;
    this.#connectivity = connectivity;
  }

  /**
   * Resolves when the frozen leader receives an operation that a broker has forwarded. Rejects with RpcError INTERNAL
   * `context deadline exceeded` at the deadline, or after 5 seconds without one.
   */
  taken(from: string, leader: string, deadline: number | null): Promise<void> {
    const left = deadline === null ? PROPAGATE_TIMEOUT_MS : deadline - this.#clock.now();
    const { promise, resolve, reject } = deferred();
    const timer = this.#clock.after(Math.max(0, left), () => this.#giveUp(forward));
    const forward: Forward = { from, leader, timer, lost: false, resolve, reject };
    this.#waiting.add(forward);
    return promise;
  }

  /** Leaders that are no longer frozen receive the operations that wait for them. */
  release(): void {
    for (const forward of this.#waiting) {
      forward.lost ||= !this.#connectivity.running(forward.leader);
      if (forward.lost || !this.#connectivity.connected(forward.from, forward.leader)) continue;
      this.#dismiss(forward);
      forward.resolve();
    }
  }

  /** Ends all waits. */
  close(): void {
    for (const forward of this.#waiting) this.#giveUp(forward);
  }

  #giveUp(forward: Forward): void {
    this.#dismiss(forward);
    forward.reject(new RpcError('INTERNAL', 'context deadline exceeded'));
  }

  #dismiss(forward: Forward): void {
    forward.timer.cancel();
    this.#waiting.delete(forward);
  }
}
