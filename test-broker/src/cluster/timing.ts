import type { ResolvedSettings, SettingName } from '../settings.js';

/** How fast a cluster notices things. Milliseconds of the broker's clock. */
export interface ClusterTiming {
  /** An in-sync replica that is behind, or cut off, for so long leaves the ISR; one that has caught up waits as long. */
  readonly replicaLag: number;
  /**
   * Whether a new leader gives a lost replica the whole lag time again, as in the server. Until then nothing is committed,
   * and what the old leader had committed last may be unknown, which tests that do not ask for it are spared.
   */
  readonly lagAnew: boolean;
  /** A follower reports a leader that has not answered for so long. */
  readonly leaderTimeout: number;
  /** An idle follower asks for news, such as the high watermark, after so long. */
  readonly idleWait: number;
  /** Until brokers that lost the metadata leader elect another, and a leader without a quorum steps down. */
  readonly electionTimeout: number;
  /** From an append on the leader to the fetch that takes it to a follower, and from one fetch to the next. */
  readonly fetchLag: number;
  /** How late a follower applies an operation: from the first to the second number. */
  readonly applyLag: readonly [number, number];
}

/**
 * A cluster inside one process has no reason to wait as long as the server's defaults do: unless the setting was
 * given, it notices a lost broker in a tenth of a second.
 */
const TEST_TIMEOUTS = Object.freeze({
  'clustering.replica.max.lag.time': 150,
  'clustering.replica.max.leader.timeout': 90,
  'clustering.replica.max.idle.wait': 100,
}) satisfies Partial<Record<SettingName, number>>;

const TEST_ELECTION_MS = 60;
const SERVER_ELECTION_MS = 1_000;

/** The timing of a cluster with these settings: what was given holds, the rest is quick. */
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

/** How long to wait after a futile attempt that was waited for this long: a cluster without a majority may stay so. */
export function nextWait(waited: number): number {
  return Math.max(waited, Math.min(MAX_WAIT_MS, 2 * Math.max(1, waited)));
}
