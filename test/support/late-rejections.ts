import { setImmediate } from 'node:timers';
import type { TestContext } from 'vitest';

// A test that fails no longer awaits what it has started: when its teardown ends that, promises
// reject that nothing handles. They are part of the one failure, and would bury its message under their own.

type Listener = (reason: unknown, promise: Promise<unknown>) => void;

/** The test that runs, or the last one. */
let current: TestContext['task'] | null = null;
const hasFailed = (): boolean => current?.result?.state === 'fail';

export function noteTest(task: TestContext['task']): void {
  current = task;
}

/** Lets the rejections of a failed test come up before the next test begins. */
export function lateRejections(): Promise<void> | undefined {
  return hasFailed() ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined;
}

const listeners = process.listeners('unhandledRejection') as Listener[];
process.removeAllListeners('unhandledRejection');
process.on('unhandledRejection', (reason, promise) => {
  if (hasFailed()) return;
  for (const listener of listeners) listener(reason, promise);
});
