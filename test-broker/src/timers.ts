import * as timers from 'node:timers';

/**
 * The timers of the platform, read once when the package is loaded: a test suite that replaces the global timers by fake
 * ones afterwards does not stop the broker. Time that a test may move is the broker's own clock (clock.ts).
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers;

/** Runs a callback before the event loop continues. Read once as well. */
export const queueMicrotask = globalThis.queueMicrotask.bind(globalThis);

/** Runs a callback when the code that runs now has ended, before promises continue. Read once as well. */
export const nextTick = process.nextTick.bind(process);
