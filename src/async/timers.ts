import * as timers from 'node:timers';

/**
 * The timers of the platform, read once when the package is loaded: a test suite that replaces the global timers by fake
 * ones afterwards does not stop the client.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

/** Longest delay that a timer of Node takes, in milliseconds; a longer one fires at once. */
export const LONGEST_DELAY_MS = 0x7fffffff;
