import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds after which a condition counts as never met. Only stops a hang, and is not a measurement. */
const GIVE_UP_AFTER_MS = 90_000;
const PAUSE_MS = 10;

/**
 * Polls the condition until it returns something other than undefined or false, and returns this value. An error of
 * the condition counts as "not yet"; it is the cause of the timeout error.
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
