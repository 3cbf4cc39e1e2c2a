/** Streams to ask for where only the answer counts: every broker answers briefly, whether it knows the stream or not. None would mean all. */
export const BRIEF: readonly string[] = ['__cursors'];
