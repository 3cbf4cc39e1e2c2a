// Times of publishing, in milliseconds, by the file that uses them.

// ack-watch

/** Milliseconds between two checks of what is in flight. */
export const LOOK_EVERY_MS = 250;

// broker-choice

/**
 * A leader that cannot be reached has most likely failed, and what goes to its partition by way of another broker is lost
 * until there is a new leader. Publishes wait this long for one, in milliseconds, before they try another broker.
 */
export const LEADER_GRACE_MS = 1_000;

// leader-checks

/** Milliseconds for one question. A broker that does not answer is sent a publish all the same: a frozen one may go on. */
export const CHECK_TIMEOUT_MS = 300;
/** Milliseconds between two checks of the same broker. */
export const CHECK_BACKOFF = { first: 5, longest: 50 } as const;
/** Milliseconds that each further partition adds to the pause. */
export const PAUSE_A_CHECK_MS = 0.5;
/**
 * Milliseconds in which a broker may deny that it leads before it is sent a publish all the same: a paused partition has
 * no leader, and a publish resumes it.
 */
export const LONGEST_DENIAL_MS = 2_000;

// leader-search

/** Milliseconds between two refreshes during a failover, at first and in the end. The pause grows by a factor. */
export const FIRST_SEARCH_PAUSE_MS = 100;
export const LONGEST_SEARCH_PAUSE_MS = 500;
export const SEARCH_PAUSE_GROWTH = 1.1;

// partition-sender

/** Milliseconds between two probes: publishes to a partition that nothing acknowledges. Refusals make the pause longer. */
export const PROBE_PAUSE_MS = 100;
/** Milliseconds until the next probe after a refusal. */
export const REFUSAL_BACKOFF = { first: 50, longest: 250 } as const;
/** Milliseconds that what is in flight has to be acknowledged when its partition changes to another publish stream. */
export const HANDOVER_MS = 500;
/** The same when acks have stopped to come already. */
export const TROUBLED_HANDOVER_MS = 200;
/** The same on a connection that the broker is about to end: it still brings acks, and takes nothing more. */
export const RETIREMENT_MS = 2_000;
/** Milliseconds until a change that would lose acks is tried again. */
export const RETRY_CHANGE_MS = 5_000;
/** Milliseconds until the next search for a broker while none is known to be blocked. */
export const STALL_PAUSE_MS = 50;
/** No ack comes in less, in milliseconds: what has no more left of its timeout is not sent any more. A probe has more time. */
export const SHORTEST_WAIT_MS = 25;
export const SHORTEST_PROBE_MS = 250;

// publish-stream

/**
 * Milliseconds before a publish stream that failed is opened again. The connection has a backoff of its own; this one keeps
 * publishes from waiting for it without need.
 */
export const REOPEN_BACKOFF = { first: 50, longest: 1_000 } as const;
/** A stream open this long, in milliseconds, counts as healthy; its failure resets the backoff. */
export const HEALTHY_AFTER_MS = 1_000;
/** Least time between two checks of the same broker, in milliseconds. */
export const LIVENESS_CHECK_PAUSE_MS = 500;

// publish-streams

/** Milliseconds that brokers have to end their streams once everything is settled; some wait for acks that never come. */
export const CLOSE_GRACE_MS = 500;

// publish-to-subject

/** Milliseconds between two attempts while no broker has NATS. */
export const NATS_PAUSE_MS = 250;

// stream-lookup

/** Milliseconds between two lookups of an unknown stream; longer while lookups fail. */
export const LOOKUP_BACKOFF = { first: 50, longest: 1_000 } as const;
