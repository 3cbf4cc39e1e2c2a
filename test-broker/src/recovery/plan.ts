import type { ResolvedSettings } from '../settings.js';

/** The length of each phase of a restart, in milliseconds. */
export interface RecoveryPlan {
  /** From the start to the first accepted connection. */
  readonly refused: number;
  readonly empty: number;
  readonly replay: number;
  readonly notLeading: number;
}

/** The facts that decide the length of a real recovery. */
export interface RestartSize {
  /** Whether other brokers kept running, so that the cluster has a metadata leader. */
  readonly survivors: boolean;
  /** Milliseconds of the broker's absence. */
  readonly away: number;
  readonly streams: number;
}

/** A restart without phases. */
export const NO_RECOVERY: RecoveryPlan = Object.freeze({ refused: 0, empty: 0, replay: 0, notLeading: 0 });

/** Default duration of a restart in milliseconds: about a tenth of the real time. */
export const QUICK_RECOVERY_MS = 200;

const SERVER_ELECTION_MS = 1_000;

/** Whether the settings make a cluster quick; one with the timeouts of the server also recovers as slowly. */
export function isQuick({ settings, given }: Pick<ResolvedSettings, 'settings' | 'given'>): boolean {
  const name = 'clustering.replica.max.leader.timeout';
  return !given.has(name) || settings[name] <= SERVER_ELECTION_MS;
}

const SHARES = Object.freeze({ refused: 0.1, empty: 0.5, replay: 0.15, notLeading: 0.25 });

/** Phases with this total length, in about the proportions of the real server. */
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
 * metadata leader contacts a silent broker at growing intervals, so a long absence makes a long empty phase. Replay and
 * start grow with the number of streams.
 */
export function realRecovery({ survivors, away, streams }: RestartSize): RecoveryPlan {
  const replay = 50 + 0.4 * streams;
  const notLeading = 100 + 1.2 * streams;
  if (!survivors) return { refused: 80, empty: 1_400, replay, notLeading };
  const empty = away <= SHORT_ABSENCE_MS ? 80 : Math.min(MAX_BACKOFF_MS, away / 2.7);
  return { refused: 80, empty, replay, notLeading };
}
