import type { Clock, ClockTimer } from '../clock.js';
import { deferred } from '../deferred.js';
import { RpcError } from '../grpc/status.js';
import type { Connectivity } from './connectivity.js';

/** How long a broker waits for the answer to what it forwards, when its caller sets no deadline. Milliseconds. */
const PROPAGATE_TIMEOUT_MS = 5_000;

interface Forward {
  readonly from: string;
  readonly leader: string;
  readonly timer: ClockTimer;
  /** The process of the leader has ended, and what NATS kept for it is lost. */
  lost: boolean;
  resolve(): void;
  reject(error: RpcError): void;
}

/**
 * What brokers have forwarded to a metadata leader that is frozen. NATS keeps it for the leader. So the brokers hear
 * nothing, neither an answer nor that there is no subscriber, and they do not forward it again when another leader is elected.
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
   * Resolves when the frozen leader takes what a broker has forwarded to it. Rejects with RpcError INTERNAL
   * `context deadline exceeded` at the deadline, which is after 5 seconds when there is none.
   */
  taken(from: string, leader: string, deadline: number | null): Promise<void> {
    const left = deadline === null ? PROPAGATE_TIMEOUT_MS : deadline - this.#clock.now();
    const { promise, resolve, reject } = deferred();
    const timer = this.#clock.after(Math.max(0, left), () => this.#giveUp(forward));
    const forward: Forward = { from, leader, timer, lost: false, resolve, reject };
    this.#waiting.add(forward);
    return promise;
  }

  /** Leaders that are not frozen any more take what waits for them. */
  release(): void {
    for (const forward of this.#waiting) {
      forward.lost ||= !this.#connectivity.running(forward.leader);
      if (forward.lost || !this.#connectivity.connected(forward.from, forward.leader)) continue;
      this.#dismiss(forward);
      forward.resolve();
    }
  }

  /** Nothing waits any more. */
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
