// Times of publishing, in milliseconds, by the file that uses them.

// ack-watch

/** Milliseconds between two checks of the publishes in flight. */
export const ACK_CHECK_INTERVAL_MS = 250;

// broker-choice

/**
 * An unreachable leader has most likely failed, and publishes that reach its partition through another broker are lost until
 * there is a new leader. Publishes wait this long for one, in milliseconds, before they try another broker.
 */
export const LEADER_GRACE_MS = 1_000;

// leader-checks

/** Milliseconds for one check. A broker that does not respond gets a publish all the same: a frozen broker may continue. */
export const CHECK_TIMEOUT_MS = 300;
/** Milliseconds between two checks of the same broker. */
export const CHECK_BACKOFF = { first: 5, longest: 50 } as const;
/** Milliseconds that each further partition adds to the pause. */
export const PAUSE_PER_CHECK_MS = 0.5;
/**
 * Milliseconds for which a broker may deny that it leads before it gets a publish all the same: a paused partition has no
 * leader, and a publish resumes it.
 */
export const LONGEST_DENIAL_MS = 2_000;

// leader-search

/** Milliseconds between two refreshes during a failover, at first and in the end. The pause grows by a factor. */
export const FIRST_SEARCH_PAUSE_MS = 100;
export const LONGEST_SEARCH_PAUSE_MS = 500;
export const SEARCH_PAUSE_GROWTH = 1.1;

// partition-sender

/** Milliseconds between two probes of a partition without acks. Refusals make the pause longer. */
export const PROBE_PAUSE_MS = 100;
/** Milliseconds until the next probe after a refusal. */
export const REFUSAL_BACKOFF = { first: 50, longest: 250 } as const;
/** Milliseconds that publishes in flight have for their acks when their partition changes to another publish stream. */
export const HANDOVER_MS = 500;
/** The same when acks have stopped already. */
export const TROUBLED_HANDOVER_MS = 200;
/** The same on a retired connection, which still delivers acks and accepts nothing new. */
export const RETIREMENT_MS = 2_000;
/** Milliseconds until a change that would lose acks is tried again. */
export const RETRY_CHANGE_MS = 5_000;
/** Milliseconds until the next search for a broker while none is known to be blocked. */
export const STALL_PAUSE_MS = 50;
/** A publish with less of its timeout left is not sent, in milliseconds: no ack comes so fast. A probe needs more time. */
export const SHORTEST_WAIT_MS = 25;
export const SHORTEST_PROBE_MS = 250;

// publish-stream

/**
 * Milliseconds before a publish stream that failed is opened again. The connection has a backoff of its own; this one keeps
 * publishes from waiting for it unnecessarily.
 */
export const REOPEN_BACKOFF = { first: 50, longest: 1_000 } as const;
/** A stream open this long, in milliseconds, counts as healthy; its failure resets the backoff. */
export const HEALTHY_AFTER_MS = 1_000;
/** Least time between two checks of the same broker, in milliseconds. */
export const LIVENESS_CHECK_PAUSE_MS = 500;
/** A response that is incomplete after this many milliseconds will not be completed: responses are small. */
export const STUCK_RESPONSE_MS = 1_000;

// publish-streams

/** Milliseconds that brokers have to end their streams once all publishes have settled; some wait for acks that never come. */
export const CLOSE_GRACE_MS = 500;

// publish-to-subject

/** Milliseconds between two attempts while no broker has NATS. */
export const NATS_PAUSE_MS = 250;

// stream-lookup

/** Milliseconds between two lookups of an unknown stream; longer while lookups fail. */
export const LOOKUP_BACKOFF = { first: 50, longest: 1_000 } as const;
