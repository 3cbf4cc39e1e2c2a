import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Lets the event loop turn many times: long enough for everything in this process that is under way over loopback. For a
 * test that something does not happen, beside a condition for what does.
 */
export async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}
