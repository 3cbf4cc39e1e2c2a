import type { ResolvedSettings, SettingName } from '../settings.js';

/** The timeouts and delays of a cluster, in milliseconds of the broker's clock. */
export interface ClusterTiming {
  /**
   * How long an in-sync replica may be behind or cut off before it leaves the ISR; also how long one that has caught up
   * waits to rejoin.
   */
  readonly replicaLag: number;
  /**
   * Whether a new leader waits the full lag time for a lost replica, as in the server. Until then it commits nothing,
   * and the last commits of the old leader may be unknown. Tests that do not ask for it are spared that.
   */
  readonly lagAnew: boolean;
  /** How long a follower waits for its leader before it reports it. */
  readonly leaderTimeout: number;
  /** How long an idle follower waits before it fetches, for instance the high watermark. */
  readonly idleWait: number;
  /**
   * How long brokers without a metadata leader wait before they elect another, and a leader without a quorum before it
   * steps down.
   */
  readonly electionTimeout: number;
  /** Delay from an append on the leader to the fetch that copies it to a follower, and from one fetch to the next. */
  readonly fetchLag: number;
  /** Delay before a follower applies an operation: a random value between the two numbers. */
  readonly applyLag: readonly [number, number];
}

/**
 * A cluster inside one process needs no timeouts as long as the server's defaults: unless the setting is given, it
 * detects a lost broker in a tenth of a second.
 */
const TEST_TIMEOUTS = Object.freeze({
  'clustering.replica.max.lag.time': 150,
  'clustering.replica.max.leader.timeout': 90,
  'clustering.replica.max.idle.wait': 100,
}) satisfies Partial<Record<SettingName, number>>;

const TEST_ELECTION_MS = 60;
const SERVER_ELECTION_MS = 1_000;

/** The timing of a cluster with these settings: given settings apply, the others take the short timeouts. */
export function clusterTiming({ settings, given }: Pick<ResolvedSettings, 'settings' | 'given'>): ClusterTiming {
  const of = (name: keyof typeof TEST_TIMEOUTS) => (given.has(name) ? settings[name] : TEST_TIMEOUTS[name]);
  const leaderTimeout = of('clustering.replica.max.leader.timeout');
  return {
    replicaLag: of('clustering.replica.max.lag.time'),
    lagAnew: given.has('clustering.replica.max.lag.time'),
    leaderTimeout,
    idleWait: of('clustering.replica.max.idle.wait'),
    electionTimeout: leaderTimeout > SERVER_ELECTION_MS ? SERVER_ELECTION_MS : TEST_ELECTION_MS,
    fetchLag: 1,
    applyLag: [1, 5],
  };
}

const MAX_WAIT_MS = 5_000;

/** The wait after a failed attempt that followed this wait: a cluster may stay without a majority. */
export function nextWait(waited: number): number {
  return Math.max(waited, Math.min(MAX_WAIT_MS, 2 * Math.max(1, waited)));
}
