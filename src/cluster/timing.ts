import type { BackoffBounds } from '../async/backoff.js';

// Connections

/** Delays between attempts to connect to one broker. */
export const CONNECT_BACKOFF: BackoffBounds = { first: 50, longest: 1_000 };
/** A timeout shorter than this says nothing about a broker that was not reached within it. */
export const FAIR_TIMEOUT_MS = 1_000;
/** A broker that left a call unanswered is avoided for this long, where there is another one. */
export const SUSPECT_MS = 10_000;
/** The least time of an attempt to connect to a broker that was reached before. */
export const MIN_RECONNECT_TIMEOUT_MS = 3_000;
/** How long the lists of brokers lack a broker that did not answer in time, with a margin. */
export const OMITTED_BROKER_MS = 150_000;
/** Shortest pause between two attempts to reach the seeds, whatever the retry option says. */
export const MIN_BOOTSTRAP_PAUSE_MS = 10;
/** Shortest pause between two attempts to reach a broker that is down. */
export const MIN_REVIVE_PAUSE_MS = 50;
/** Interval of the latency measurements. */
export const MEASURE_INTERVAL_MS = 10_000;

// Calls

/** The least time of one attempt of a repeatable call. */
export const MIN_ATTEMPT_MS = 500;
/** A call to one broker reports its own timeout when it ends within this time after it. */
export const OWN_TIMEOUT_GRACE_MS = 200;
/** Time that brokers have to name a broker that a list lacks. */
export const BROKER_SEARCH_MS = 1_000;
/** Delays between two searches of that kind without a result. */
export const BROKER_SEARCH_BACKOFF: BackoffBounds = { first: BROKER_SEARCH_MS, longest: 10_000 };
/** Pauses between attempts while a broker does not know yet what other brokers know. */
export const UNKNOWN_BACKOFF: BackoffBounds = { first: 50, longest: 1_000 };

// What exists: see docs/decisions/006-what-counts-as-gone.md

/** A broker that restarts knows no stream for up to 9 s after it accepts connections. */
export const LONGEST_RECOVERY_MS = 10_000;
/** A recovering broker restores its streams one after another: this long after the first one it knows all of them. */
export const REPLAY_MS = 2_000;
/** The same two times for a broker that the first attempt reached: it is unlikely that it started at the same moment. */
export const FIRST_RECOVERY_MS = 2_500;
export const FIRST_REPLAY_MS = 300;
/** A broker may apply a change of the metadata this much later than another broker. */
export const APPLY_LAG_MS = 500;
/** Pause between two polls that have to agree: a broker restores a snapshot first and applies later commands after it. */
export const POLL_PAUSE_MS = 100;
/** Time that the brokers have to answer one poll. */
export const POLL_TIMEOUT_MS = 1_500;
/** Time that the other brokers have once a broker has answered whose "unknown" counts. */
export const POLL_GRACE_MS = 300;
