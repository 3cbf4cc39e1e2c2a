// Membership

/** Delay between attempts to join a group and to reach its coordinator. */
export const GROUP_BACKOFF = { first: 20, longest: 1_000 } as const;
/** Shortest time for one attempt to join: the outcome of an attempt that is cut short is unknown. */
export const JOIN_MIN_TIMEOUT_MS = 2_000;
/** Time in which the coordinator applies a join that the metadata leader has answered. */
export const JOIN_SETTLE_MS = 1_000;
/** Pause between attempts to join a group again. */
export const REJOIN_PAUSE_MS = 1_000;
/** Time for leaving a group that this member may have joined. */
export const ABANDON_TIMEOUT_MS = 2_000;
/** Time for leaving a group. */
export const LEAVE_TIMEOUT_MS = 3_000;
/** Shortest time for one poll. */
export const POLL_MIN_TIMEOUT_MS = 500;
/** Interval between polls while the end of a subscription may be hidden behind messages that are not taken. */
export const STALLED_POLL_INTERVAL_MS = 400;
/** Time for the first search for the epoch, times the failures in a row: a broker that misses a peer returns only at the end of its time. */
export const LOCATE_STEP_MS = 1_000;
/** Time after which a coordinator that denies a member is believed against the rest of the cluster. */
export const DENIAL_LIMIT_MS = 15_000;
/** Shortest interval between two reports of a coordinator. */
export const REPORT_INTERVAL_MS = 1_000;
/** Delay between attempts to claim a consumer id. */
export const CLAIM_BACKOFF = { first: 100, longest: 10_000 } as const;
/** Interval between checks whether the leaders of the streams have changed. */
export const LEADER_CHECK_MS = 15_000;
/** Time for deciding whether a stream exists while something waits for it. */
export const EXISTENCE_TIMEOUT_MS = 5_000;

// Partitions

/** Partitions that become ready within this time are announced together. */
export const ANNOUNCE_WINDOW_MS = 25;
/** Partitions that are lost within this time are released together. */
export const LOSS_WINDOW_MS = 10;
/** Delay between attempts to acquire a partition. */
export const ACQUIRE_BACKOFF = { first: 20, longest: 2_000 } as const;
/** Delay between attempts to read a partition again. */
export const REOPEN_BACKOFF = { first: 50, longest: 2_000 } as const;
/** Pause before a readonly partition is read again after its end. */
export const READONLY_PAUSE_MS = 1_000;
/** Time without a read that is not worth a report. */
export const TROUBLE_MIN_MS = 1_000;
/** Delay between looks at the mark of the owner. */
export const HANDOVER_BACKOFF = { first: 5, longest: 100 } as const;
/** Time in which an owner has to write that it is about to release: a share of the group's timeout, within bounds. */
export const OWNER_SILENCE = { share: 0.2, least: 1_500, most: 3_000 } as const;
/** Interval between checks whether a silent owner could write its mark. */
export const WRITE_PROBE_INTERVAL_MS = 500;
/** Time after the loss of a broker in which writes of members may take long: each finds the new leaders by itself. */
export const FAILOVER_MS = 15_000;
/** Time to wait for an unreachable coordinator to confirm an assignment. */
export const CONFIRM_TIMEOUT_MS = 3_000;
/** Time in which a checkpoint of an owner that was cut off may still arrive at the broker. */
export const LATE_WRITE_MS = 60_000;
/** Most time without cursors that does not count: an owner cannot store its position either. */
export const MOST_BLOCKED_MS = 60_000;
/** Time of one wait for a broker that recovers its cursors; acquiring starts again then, and is reported when it lasts. */
export const CURSORS_RECOVERY_MS = 10_000;
/** Delay before the retry of a checkpoint that failed. */
export const CHECKPOINT_RETRY_MS = 1_000;
/** A release that takes longer is written to the mark, so that the next owner knows that this member is alive. */
export const SLOW_RELEASE_MS = 100;
/** Time for one call that stores a position: a broker that recovers loses some, and they are sent again in time. */
export const STORE_CALL_TIMEOUT_MS = 5_000;
/** Delay between attempts to store a position at release. */
export const STORE_BACKOFF = { first: 20, longest: 500 } as const;
/** Time for the calls of the last owner in addition to `revokeTimeout`, while cursors can be written. */
export const STORE_GRACE_MS = 5_000;
/** Time in which a member stores the positions of what it releases, also while brokers are unreachable. */
export const RELEASE_TIMEOUT_MS = 60_000;

// Delivery

/** Time for closing, for storing and leaving together; the message in progress has its own. */
export const CLOSE_GRACE_MS = 5_000;
/** Share of the time for closing that storing gets. */
export const STORE_SHARE = 0.7;
/** Part of a short time for closing that is kept for storing and leaving. */
export const CLOSE_RESERVE_MS = 1_500;
/** Time for the loop to ask for its next message: `close` may be called from inside the loop. */
export const LOOP_GRACE_MS = 1_000;
/** Delay between attempts to publish a dead letter. */
export const DEAD_LETTER_BACKOFF = { first: 100, longest: 2_000 } as const;
