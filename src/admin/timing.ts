import type { BackoffBounds } from '../async/backoff.js';

/** Pauses between two rounds that ask the leaders of a new stream. */
export const LEADERS_BACKOFF: BackoffBounds = { first: 20, longest: 500 };
/** Pauses between two fetches of metadata while it is not certain that what is missing is gone. */
export const METADATA_BACKOFF: BackoffBounds = { first: 20, longest: 500 };
/** Pauses between two looks at the leader of a partition of cursors. */
export const CURSORS_BACKOFF: BackoffBounds = { first: 5, longest: 200 };
/** Timeout of the write that shows which cursors are committed. */
export const CURSORS_WRITE_TIMEOUT_MS = 3_000;
