import type { BrokerLoads } from './broker-loads.js';
import type { Placement } from './contract.js';

/**
 * Places the partitions of a new stream on the brokers with the fewest partitions; the one of them that leads the
 * fewest becomes the leader. Ties follow the order of the brokers. The loads are counted once for the whole stream, so
 * all its partitions have the same placement. A factor of -1 takes every broker.
 */
export function placeStream(
  brokers: readonly string[],
  loads: BrokerLoads,
  replicationFactor: number,
  partitionCount: number,
): readonly Placement[] {
  const wanted = replicationFactor === -1 ? brokers.length : replicationFactor;
  const replicas = byLoad(brokers, (broker) => loads.of(broker).partitions).slice(0, wanted);
  const placement: Placement = { replicas, leader: fewestLed(replicas, loads)! };
  return Array.from({ length: partitionCount }, () => placement);
}

/** The broker that leads the fewest partitions, the first of several; undefined for an empty list. */
export function fewestLed(brokers: readonly string[], loads: BrokerLoads): string | undefined {
  return byLoad(brokers, (broker) => loads.of(broker).leaders)[0];
}

/** Array sorting is stable, so equal loads keep their order. */
function byLoad(brokers: readonly string[], load: (broker: string) => number): readonly string[] {
  return [...brokers].sort((a, b) => load(a) - load(b));
}
