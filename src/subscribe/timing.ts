/** Delay between attempts to subscribe. */
export const RESUBSCRIBE_BACKOFF = { first: 10, longest: 1_000 } as const;
/** Longest time of one attempt: a broker that does not respond leaves time for its successor. */
export const ATTEMPT_TIMEOUT_MS = 3_000;
/** A call open this long counts as healthy; its failure resets the backoff and the time for recovery. */
export const HEALTHY_AFTER_MS = 5_000;
/** Silence after which a subscription checks whether the leader of each partition has changed. */
export const LEADER_CHECK_MS = 15_000;
/** Silence before the first and before each later idle probe. */
export const IDLE_PROBE = { first: 300, longest: 5_000 } as const;
/** Time for the confirmation of a probe read. */
export const PROBE_CONFIRM_TIMEOUT_MS = 3_000;
/** Silence that ends a confirmed probe read. */
export const PROBE_SILENCE_MS = 500;
/** Longest time for the leader to return the offsets of a partition. */
export const PARTITION_METADATA_TIMEOUT_MS = 2_000;
/** Followers of an idle partition fetch at least every `replica.max.idle.wait`, 10 s by default, and each fetch commits. */
export const FOLLOWER_COMMIT_MS = 12_000;
/** A leader without followers commits a stored message only with the next one: a longer wait does not help. */
export const LEADER_COMMIT_MS = 500;
