import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Lets the event loop turn many times: long enough for all data in flight over loopback in this process. For a
 * test that something does not happen, in addition to a condition for an expected event.
 */
export async function turns(count = 200): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}
