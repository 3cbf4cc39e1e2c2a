/**
 * The phase of a restarted broker. In `empty` it serves calls and knows no stream, group or cursor. In `replay` it
 * shows past metadata. In `not-leading` it shows the current metadata, but none of its partitions and groups runs.
 * `ready` is the end of the recovery.
 */
export type RecoveryPhase = 'empty' | 'replay' | 'not-leading' | 'ready';

/** A phase that a test can hold. */
export type HeldPhase = Exclude<RecoveryPhase, 'ready'>;

/** The phases that a test can hold, in their order. */
export const HELD_PHASES = ['empty', 'replay', 'not-leading'] as const satisfies readonly HeldPhase[];

/** The recovery of a started broker, for a test to follow and control. */
export interface Recovery {
  /** The current phase. */
  readonly phase: RecoveryPhase;
  /** Resolves once the broker is ready. Rejects with an Error when the broker stops or closes before. */
  readonly ready: Promise<void>;
  /**
   * Ends a hold. The remaining phases take the time that `recoveryTime` gives them, and none without it.
   *
   * @param hold the later phase that is held next; without it the recovery goes on to its end
   * @returns a promise that resolves in the phase that is held next, or once the broker is ready
   */
  release(hold?: HeldPhase): Promise<void>;
}
