import type { PartitionLog } from '../log/partition-log.js';

/** The part of a log that shows where it differs from another one. */
type History = Pick<PartitionLog, 'epochs' | 'oldestOffset' | 'nextOffset'>;

/**
 * The first offset of a follower that the leader does not have, or has from another leader epoch. Two messages with the
 * same offset and epoch are the same, because an epoch has one leader. (The server only compares the last epoch of the
 * follower, and misses earlier differences.)
 */
export function divergence(follower: History, leader: History): number {
  const end = Math.min(follower.nextOffset, leader.nextOffset);
  const first = Math.max(follower.oldestOffset, leader.oldestOffset, 0);
  const boundaries = [...follower.epochs.starts, ...leader.epochs.starts].map(({ startOffset }) => startOffset);
  // Between two boundaries neither epoch changes.
  for (const offset of [first, ...boundaries.sort((a, b) => a - b)]) {
    if (offset >= first && offset < end && follower.epochs.epochOf(offset) !== leader.epochs.epochOf(offset))
      return offset;
  }
  return end;
}
