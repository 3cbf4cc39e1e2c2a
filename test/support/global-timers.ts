/**
 * Replaces `src/async/timers.ts` and `src/async/clock.ts` in a test that fakes timers: the client reads the real timers
 * when it is loaded, and this module reads the global ones at each call.
 */
export const setTimeout = (...args: Parameters<typeof globalThis.setTimeout>) => globalThis.setTimeout(...args);
export const clearTimeout: typeof globalThis.clearTimeout = (timer) => globalThis.clearTimeout(timer);
export const setInterval = (...args: Parameters<typeof globalThis.setInterval>) => globalThis.setInterval(...args);
export const clearInterval: typeof globalThis.clearInterval = (timer) => globalThis.clearInterval(timer);
export const setImmediate = (...args: Parameters<typeof globalThis.setImmediate>) => globalThis.setImmediate(...args);
export const clearImmediate: typeof globalThis.clearImmediate = (immediate) => globalThis.clearImmediate(immediate);
export const queueMicrotask = (callback: () => void): void => globalThis.queueMicrotask(callback);
export const nextTick = (callback: () => void): void => process.nextTick(callback);
export const monotonicNow = (): number => performance.now();
export const wallNow = (): number => Date.now();
export const LONGEST_DELAY_MS = 0x7fffffff;
