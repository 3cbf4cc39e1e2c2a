import { clearTimeout, setTimeout } from '../timers.js';

/** The connections of one broker, as faults affect them. */
export interface FaultTarget {
  readonly brokerIndex: number;
  cutConnections(): void;
  goAway(): void;
  setSilent(silent: boolean): void;
}

/** Longest delay that a timer of Node takes, in milliseconds; a longer one fires at once. */
const MAX_DELAY_MS = 0x7fffffff;

/** Active silences, each of one or more brokers. Overlapping silences of a broker end with the last one. */
export class Silences {
  readonly #depths = new Map<FaultTarget, number>();
  readonly #open = new Set<() => void>();

  /** Silences some brokers for a time, or until the returned function is called. */
  begin(targets: readonly FaultTarget[], ms?: number): () => void {
    for (const target of targets) this.#change(target, 1);
    const end = () => {
      if (!this.#open.delete(end)) return;
      clearTimeout(timer);
      for (const target of targets) this.#change(target, -1);
    };
    this.#open.add(end);
    // Real time: the keepalive of the client, which a silence tests, uses it too.
    const timer = ms === undefined ? undefined : setTimeout(end, Math.min(ms, MAX_DELAY_MS));
    return end;
  }

  /** Ends all of them. */
  clear(): void {
    for (const end of [...this.#open]) end();
  }

  #change(target: FaultTarget, by: 1 | -1): void {
    const before = this.#depths.get(target) ?? 0;
    if (before + by > 0) this.#depths.set(target, before + by);
    else this.#depths.delete(target);
    if (before === 0 || before + by === 0) target.setSilent(before === 0);
  }
}
