import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds after which a condition counts as one that will never hold: stops a hang, measures nothing. */
const GIVE_UP_AFTER_MS = 90_000;
const PAUSE_MS = 10;

/**
 * Asks again and again until the condition gives something other than undefined or false, and returns that. An error of
 * the condition counts as "not yet"; it is the cause of the error when the time is up.
 */
export async function eventually<Result>(
  what: string,
  condition: () => Result | undefined | false | Promise<Result | undefined | false>,
): Promise<Result> {
  const end = performance.now() + GIVE_UP_AFTER_MS;
  let cause: unknown;
  for (;;) {
    try {
      const result = await condition();
      if (result !== undefined && result !== false) return result;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`not within ${GIVE_UP_AFTER_MS} ms: ${what}`, { cause });
    await sleep(PAUSE_MS);
  }
}
