import { backoffDelay } from '../async/backoff.js';
import { AckPolicy } from '../protocol/generated/api.js';
import type { PartitionQueue, PendingPublish, Trouble } from './partition-queue.js';
import { PROBE_PAUSE_MS, REFUSAL_BACKOFF, SHORTEST_WAIT_MS } from './timing.js';

/** Publishes with acks of all replicas that may go out between two probes. */
const MOST_PASSED = 16;

/** Whether there is still time for the ack of a publish that is sent now. */
export function hasTime(pending: PendingPublish, now: number, needed = SHORTEST_WAIT_MS): boolean {
  return pending.deadline - now >= Math.min(needed, pending.timeout / 2);
}

/**
 * Whether the queue may send its next publish now; in trouble it sends a probe from time to time. A publish that asks for no
 * ack is no probe. An ack of all replicas may take until a follower is removed from the ISR: a few publishes that ask for it
 * pass, so that the next real probe comes earlier.
 */
export function isDue(queue: PartitionQueue, next: PendingPublish, now: number): boolean {
  const { trouble } = queue;
  if (trouble === null || next.ackPolicy === AckPolicy.NONE) return true;
  if (now >= trouble.probeAt) {
    trouble.passed = 0;
    trouble.probeAt = now + PROBE_PAUSE_MS;
    return true;
  }
  const isSlow = next.ackPolicy === AckPolicy.ALL && queue.hasLeaderAcks;
  if (!isSlow || trouble.passed >= MOST_PASSED) return false;
  trouble.passed++;
  return true;
}

/** Delays the next probe after a refusal; longer after each further one. */
export function delayProbe(trouble: Trouble, now: number): void {
  trouble.probeAt = now + backoffDelay(++trouble.refusals, REFUSAL_BACKOFF);
  trouble.passed = MOST_PASSED;
}
