import * as timers from 'node:timers';

/**
 * The timers of the platform, read once when the package is loaded: a test suite that replaces the global timers by fake
 * ones afterwards does not stop the client.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;

/** Runs a callback after the code that runs now, before the event loop continues. Read once as well. */
export const queueMicrotask = globalThis.queueMicrotask.bind(globalThis);

/** Runs a callback before the event loop continues, outside every promise: what it throws is an uncaught exception. */
export const nextTick = process.nextTick.bind(process);

/** Longest delay that a timer of Node takes, in milliseconds; a longer one fires at once. */
export const LONGEST_DELAY_MS = 0x7fffffff;
