import { monotonicNow } from '../async/clock.js';
import type { MetadataAnswer, Sought, Testimony, Witness } from './metadata-answer.js';
import { APPLY_LAG_MS, FIRST_RECOVERY_MS, FIRST_REPLAY_MS, LONGEST_RECOVERY_MS, REPLAY_MS } from './timing.js';

/** Names of deleted streams and groups that the record of a broker may hold. */
const MAX_STALE_NAMES = 1_000;

/** The answers of a broker since the client connected to it. */
interface BrokerRecord {
  readonly since: number;
  /** When it named a stream for the first time. */
  knowsStreamsSince: number | null;
  /** Creation times of the streams that it has named. */
  readonly streams: Map<string, number>;
  readonly groups: Set<string>;
}

/** The state of all streams, or of all groups, by name; times as of `monotonicNow()`. */
class Kind {
  /** When each was last named by any broker. */
  readonly seenAt = new Map<string, number>();
  /** Since when each has been missing. */
  readonly missingSince = new Map<string, number>();

  seen(name: string, now: number): void {
    this.seenAt.set(name, now);
    if (this.missingSince.size > 0) this.missingSince.delete(name);
  }
}

/** Which broker has named which stream and group, and on which connection: decides whose "unknown" counts. */
export class Sightings {
  readonly #records = new WeakMap<Witness, BrokerRecord>();
  readonly #streams = new Kind();
  readonly #groups = new Kind();

  /** Records an answer. */
  note({ from, streams, groups }: MetadataAnswer): void {
    const now = monotonicNow();
    for (const name of streams.keys()) this.#streams.seen(name, now);
    for (const id of groups.keys()) this.#groups.seen(id, now);
    const record = from === null ? null : this.#record(from);
    if (record === null) return;
    if (streams.size > 0) record.knowsStreamsSince ??= now;
    for (const [name, { createdAt }] of streams) record.streams.set(name, createdAt.getTime());
    for (const id of groups.keys()) record.groups.add(id);
    this.#prune(record);
  }

  /** Records a stream that exists although no broker has named it yet. */
  noteCreated(stream: string): void {
    this.#streams.seen(stream, monotonicNow());
  }

  /** Whether a broker has named it, and it was not found to be gone since. */
  hasSeen(sought: Sought): boolean {
    return this.#kindOf(sought).seenAt.has(nameOf(sought));
  }

  /** Milliseconds for which it has been missing; counts from the first call of this method until it is named again. */
  missingFor(sought: Sought): number {
    const { missingSince } = this.#kindOf(sought);
    const now = monotonicNow();
    const since = missingSince.get(nameOf(sought));
    if (since !== undefined) return now - since;
    missingSince.set(nameOf(sought), now);
    return 0;
  }

  /**
   * Whether a broker that does not know what is sought must be right: it has named it on this very connection, or it was
   * connected and had recovered when another one named it. For what was never seen it is enough that it has recovered.
   */
  isCertain(sought: Sought, createdAt: number | null, { witness, since }: Testimony): boolean {
    const record = this.#records.get(witness);
    if (since === null || witness.connectedSince !== since) return false;
    const now = monotonicNow();
    if (record?.since === since && hasNamed(record, sought, createdAt)) return true;
    const seenAt = this.#kindOf(sought).seenAt.get(nameOf(sought));
    if (seenAt === undefined) return isRecovered(since, record, now, !witness.hasFailed);
    return since < seenAt && now - seenAt >= APPLY_LAG_MS && isRecovered(since, record, now, false);
  }

  /** Whether the broker has been connected for longer than any recovery takes: it shows no deleted streams. */
  isSettled({ witness, since }: Testimony): boolean {
    return since !== null && witness.connectedSince === since && monotonicNow() - since >= LONGEST_RECOVERY_MS;
  }

  /** Forgets what is gone. What brokers have named on their connections stays: it makes their later answers certain. */
  forget(sought: Sought): void {
    const { seenAt, missingSince } = this.#kindOf(sought);
    seenAt.delete(nameOf(sought));
    missingSince.delete(nameOf(sought));
  }

  #kindOf(sought: Sought): Kind {
    return 'stream' in sought ? this.#streams : this.#groups;
  }

  /** A connection can outlive many streams: names that no longer count are removed from time to time. */
  #prune({ streams, groups }: BrokerRecord): void {
    const [knownStreams, knownGroups] = [this.#streams.seenAt, this.#groups.seenAt];
    if (streams.size + groups.size < 2 * (knownStreams.size + knownGroups.size) + MAX_STALE_NAMES) return;
    for (const stream of streams.keys()) if (!knownStreams.has(stream)) streams.delete(stream);
    for (const group of groups) if (!knownGroups.has(group)) groups.delete(group);
  }

  #record({ witness, since }: Testimony): BrokerRecord | null {
    if (since === null || witness.connectedSince !== since) return null;
    const known = this.#records.get(witness);
    if (known?.since === since) return known;
    const record: BrokerRecord = { since, knowsStreamsSince: null, streams: new Map(), groups: new Set() };
    this.#records.set(witness, record);
    return record;
  }
}

function hasNamed(record: BrokerRecord, sought: Sought, createdAt: number | null): boolean {
  if ('group' in sought) return record.groups.has(sought.group);
  const named = record.streams.get(sought.stream);
  return named !== undefined && (createdAt === null || named === createdAt);
}

function isRecovered(since: number, record: BrokerRecord | undefined, now: number, isFirst: boolean): boolean {
  if (now - since >= (isFirst ? FIRST_RECOVERY_MS : LONGEST_RECOVERY_MS)) return true;
  if (record?.since !== since || record.knowsStreamsSince === null) return false;
  return now - record.knowsStreamsSince >= (isFirst ? FIRST_REPLAY_MS : REPLAY_MS);
}

function nameOf(sought: Sought): string {
  return 'stream' in sought ? sought.stream : sought.group;
}
