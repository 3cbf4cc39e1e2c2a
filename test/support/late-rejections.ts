import { setImmediate } from 'node:timers';
import { afterEach, beforeEach, type TestContext } from 'vitest';

// A setup file of Vitest. A test that fails no longer awaits what it has started: when its teardown ends that, promises
// reject that nothing handles. They are part of the one failure, and would bury its message under their own.

type Listener = (reason: unknown, promise: Promise<unknown>) => void;

/** The test that runs, or the last one. */
let current: TestContext['task'] | null = null;
const hasFailed = (): boolean => current?.result?.state === 'fail';

beforeEach(({ task }) => {
  current = task;
});
// Registered first, so that it runs after all other hooks: what they have rejected comes up before the next test begins.
afterEach(() => (hasFailed() ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined));

const listeners = process.listeners('unhandledRejection') as Listener[];
process.removeAllListeners('unhandledRejection');
process.on('unhandledRejection', (reason, promise) => {
  if (hasFailed()) return;
  for (const listener of listeners) listener(reason, promise);
});
