import { pause } from '../../async/sleep.js';
import { LiftbridgeError } from '../../errors.js';
import { REJOIN_PAUSE_MS } from '../timing.js';
import type { Joined, Membership } from './membership.js';

/** Dependencies of joining again. */
export interface Rejoin {
  readonly membership: Membership;
  /** The streams that exist. `check` finds out which do, and ends the consumer where none is left. */
  readonly watch: { readonly streams: readonly string[]; check(): Promise<void> };
  /** Milliseconds for one join, and for leaving. */
  readonly joinTimeout: number;
  readonly leaveTimeout: number;
  readonly signal: AbortSignal;
  /** Gives every partition up; resolves when they are released. */
  readonly release: () => Promise<void>;
}

/**
 * Joins a group again, after leaving it where `leaveFirst`, until that has succeeded. Returns `member` where the cluster
 * counts this member as one still. Rejects with the reason of the signal, or with the failure that no attempt can overcome.
 */
export async function joinAgain(deps: Rejoin, leaveFirst: boolean): Promise<Joined> {
  const { membership, watch, joinTimeout, leaveTimeout, signal } = deps;
  for (;;) {
    try {
      if (leaveFirst) {
        await deps.release();
        await membership.leave({ signal, timeout: leaveTimeout });
      }
      return await membership.join(watch.streams, { signal, timeout: joinTimeout });
    } catch (error) {
      signal.throwIfAborted();
      if (!(await isPassing(error, deps))) throw error;
    }
    await pause(REJOIN_PAUSE_MS, signal);
    signal.throwIfAborted();
  }
}

async function isPassing(error: unknown, { watch }: Rejoin): Promise<boolean> {
  if (!LiftbridgeError.is(error, 'NO_SUCH_STREAM')) return LiftbridgeError.is(error) && error.retryable;
  await watch.check();
  return watch.streams.length > 0;
}
