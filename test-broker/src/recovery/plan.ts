import type { ResolvedSettings } from '../settings.js';

/** How long each phase of a restart takes, in milliseconds. */
export interface RecoveryPlan {
  /** From the start to the first connection that is accepted. */
  readonly refused: number;
  readonly empty: number;
  readonly replay: number;
  readonly notLeading: number;
}

/** What the length of a real recovery depends on. */
export interface RestartSize {
  /** Whether other brokers went on meanwhile, so that the cluster has a metadata leader. */
  readonly survivors: boolean;
  /** Milliseconds that the broker was away. */
  readonly away: number;
  readonly streams: number;
}

/** A restart without phases. */
export const NO_RECOVERY: RecoveryPlan = Object.freeze({ refused: 0, empty: 0, replay: 0, notLeading: 0 });

/** Milliseconds that a restart takes where nothing else is given: about a tenth of the real time. */
export const QUICK_RECOVERY_MS = 200;

const SERVER_ELECTION_MS = 1_000;

/** Whether a cluster is quick by its settings; one that waits as long as the server does recovers as slowly, too. */
export function isQuick({ settings, given }: Pick<ResolvedSettings, 'settings' | 'given'>): boolean {
  const name = 'clustering.replica.max.leader.timeout';
  return !given.has(name) || settings[name] <= SERVER_ELECTION_MS;
}

const SHARES = Object.freeze({ refused: 0.1, empty: 0.5, replay: 0.15, notLeading: 0.25 });

/** Phases of this length together, in about the proportions of the real server. */
export function scaledRecovery(total: number): RecoveryPlan {
  const { refused, empty, replay, notLeading } = SHARES;
  return {
    refused: refused * total,
    empty: empty * total,
    replay: replay * total,
    notLeading: notLeading * total,
  };
}

const SHORT_ABSENCE_MS = 3_000;
const MAX_BACKOFF_MS = 10_000;

/**
 * The lengths of the real server. A single broker elects itself, which takes more than a second. In a cluster the
 * metadata leader contacts a silent broker less and less often, so a long absence makes a long empty phase. Replay and
 * start grow with the number of streams.
 */
export function realRecovery({ survivors, away, streams }: RestartSize): RecoveryPlan {
  const replay = 50 + 0.4 * streams;
  const notLeading = 100 + 1.2 * streams;
  if (!survivors) return { refused: 80, empty: 1_400, replay, notLeading };
  const empty = away <= SHORT_ABSENCE_MS ? 80 : Math.min(MAX_BACKOFF_MS, away / 2.7);
  return { refused: 80, empty, replay, notLeading };
}
