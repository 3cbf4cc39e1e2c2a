import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Milliseconds of processor time that the longest turn of the event loop took while `work` ran. Not of the clock: on a
 * machine that is busy with other things a process stands still for longer than it works.
 */
export async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let over = false;
  const watching = (async () => {
    let last = process.cpuUsage();
    while (!over) {
      await nextTurn();
      const { user, system } = process.cpuUsage(last);
      longest = Math.max(longest, (user + system) / 1_000);
      last = process.cpuUsage();
    }
  })();
  await work();
  over = true;
  await watching;
  return longest;
}
