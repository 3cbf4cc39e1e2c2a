import { setImmediate } from 'node:timers';
import type { TestContext } from 'vitest';

// A failed test no longer awaits the operations that it has started. When its teardown ends them, promises
// reject without a handler. They belong to the same failure, and would hide its message.

type Listener = (reason: unknown, promise: Promise<unknown>) => void;

/** The current test, or the last one. */
let current: TestContext['task'] | null = null;
const hasFailed = (): boolean => current?.result?.state === 'fail';

export function noteTest(task: TestContext['task']): void {
  current = task;
}

/** Waits for the rejections of a failed test before the next test starts. */
export function lateRejections(): Promise<void> | undefined {
  return hasFailed() ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined;
}

const listeners = process.listeners('unhandledRejection') as Listener[];
process.removeAllListeners('unhandledRejection');
process.on('unhandledRejection', (reason, promise) => {
  if (hasFailed()) return;
  for (const listener of listeners) listener(reason, promise);
});
