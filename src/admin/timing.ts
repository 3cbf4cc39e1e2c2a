/** Pauses between two rounds that ask the leaders of a new stream. */
export const LEADERS_FIRST_PAUSE_MS = 20;
export const LEADERS_LONGEST_PAUSE_MS = 500;
/** Pauses between two fetches of metadata while it is not certain that what is missing is gone. */
export const METADATA_FIRST_PAUSE_MS = 20;
export const METADATA_LONGEST_PAUSE_MS = 500;
/** Pauses between two looks at the leader of a partition of cursors. */
export const CURSORS_FIRST_PAUSE_MS = 5;
export const CURSORS_LONGEST_PAUSE_MS = 200;
/** Timeout of the write that shows which cursors are committed. */
export const CURSORS_WRITE_TIMEOUT_MS = 3_000;
