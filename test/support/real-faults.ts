import { setTimeout as sleep } from 'node:timers/promises';
import type { RealCluster } from './real-cluster.js';

/** A fault of the nodes of a cluster. */
export interface Fault {
  /** Completes "publishes survive when". */
  readonly name: string;
  /** Causes and repairs the fault; `leader` is the index of the node that leads the partition. */
  inject(cluster: RealCluster, leader: number): Promise<void>;
}

/** Milliseconds within which every cluster has elected new leaders, with the defaults of the server. */
const FAILOVER_MS = 25_000;

const all = (cluster: RealCluster): number[] => cluster.addresses.map((_, index) => index);

function leaderAway(name: string, verb: 'kill' | 'term', ms: number): Fault {
  return {
    name,
    inject: async (cluster, leader) => {
      await cluster.node(verb, leader);
      await sleep(ms);
      await cluster.node('up', leader);
    },
  };
}

function everyNode(name: string, verb: 'kill' | 'term', ms: number): Fault {
  return {
    name,
    inject: async (cluster) => {
      for (const index of all(cluster)) await cluster.node(verb, index);
      await sleep(ms);
      for (const index of all(cluster)) await cluster.node('up', index);
    },
  };
}

/** The faults for tests and benchmarks of the client. */
export const FAULTS: readonly Fault[] = [
  leaderAway('the leader is killed and back after 0.3 s', 'kill', 300),
  leaderAway('the leader is terminated and back after 2 s', 'term', 2_000),
  leaderAway('the leader is killed and stays away until another one leads', 'kill', FAILOVER_MS),
  {
    name: 'the leader is frozen for 12 s',
    inject: async (cluster, leader) => {
      await cluster.node('pause', leader);
      await sleep(12_000);
      await cluster.node('cont', leader);
    },
  },
  everyNode('every node is killed and back after 1 s', 'kill', 1_000),
  everyNode('every node is terminated and back after 3 s', 'term', 3_000),
  {
    name: 'every node is terminated and started again, one after the other',
    inject: async (cluster) => {
      for (const index of all(cluster)) {
        await cluster.node('term', index);
        await sleep(1_500);
        await cluster.node('up', index);
        await sleep(6_000);
      }
    },
  },
];
