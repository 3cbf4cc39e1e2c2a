import type { Group } from './group-table.js';

/**
 * The broker that coordinates the fewest groups, the first of several in the order of the configuration; null when
 * `except` leaves no broker.
 */
export function chooseCoordinator(brokers: Iterable<string>, groups: Iterable<Group>, except?: string): string | null {
  const loads = new Map<string, number>();
  for (const broker of brokers) {
    if (broker !== except) loads.set(broker, 0);
  }
  for (const { coordinator } of groups) {
    const load = loads.get(coordinator);
    if (load !== undefined) loads.set(coordinator, load + 1);
  }
  let best: string | null = null;
  for (const [broker, load] of loads) {
    if (best === null || load < loads.get(best)!) best = broker;
  }
  return best;
}
