import { SingleFlight } from '../async/single-flight.js';
import type { EventHub } from './events.js';
import { type BrokerInfo, type Metadata, metadataOf, NO_METADATA, type StreamInfo } from './metadata.js';
import type { MetadataAnswer } from './metadata-answer.js';

/** Fetches metadata from some broker; no streams means all of them. Rejects with a LiftbridgeError. */
export type FetchMetadata = (streams: readonly string[], groups: readonly string[]) => Promise<MetadataAnswer>;

/** Decides what the cache believes when an answer contradicts it. */
export interface Belief {
  /** Whether a stream that the answer does not name is certainly gone. */
  isGone(stream: StreamInfo, answer: MetadataAnswer): boolean;
  /** Whether an entry that is older than the known one is no relic of the past. */
  isSettled(answer: MetadataAnswer): boolean;
}

/** The client's view of the cluster: one snapshot, replaced as answers come in. Equal fetches under way are shared. */
export class MetadataCache {
  readonly #fetch: FetchMetadata;
  readonly #belief: Belief;
  readonly #hub: EventHub;
  readonly #flights = new SingleFlight<string, MetadataAnswer>();
  /** Number of the fetch that each stream's entry is from, so that an older answer that comes later does not undo it. */
  readonly #origins = new Map<string, number>();
  #fetches = 0;
  #snapshot: Metadata = NO_METADATA;
  #version = 0;
  #bySubject: ReadonlyMap<string, readonly string[]> | null = null;

  constructor(fetch: FetchMetadata, belief: Belief, hub: EventHub) {
    this.#fetch = fetch;
    this.#belief = belief;
    this.#hub = hub;
  }

  /** The newest snapshot. */
  get snapshot(): Metadata {
    return this.#snapshot;
  }

  /** Counts the snapshots. */
  get version(): number {
    return this.#version;
  }

  /** Fetches metadata of the streams (all when absent), merges it and returns this one answer. */
  refresh(streams?: readonly string[], groups: readonly string[] = []): Promise<MetadataAnswer> {
    const names = streams === undefined ? [] : [...new Set(streams)].sort();
    const key = JSON.stringify([names, groups]);
    return this.#flights.run(key, () => this.#fetchAndMerge(names, groups));
  }

  /** Returns a function that merges answers of other calls: streams that they name are replaced, other streams stay. */
  absorbing(): (answer: MetadataAnswer) => void {
    const fetch = ++this.#fetches;
    return (answer) => {
      if (answer.streams.size > 0) this.#absorb(answer, [...answer.streams.keys()], [], fetch);
    };
  }

  async #fetchAndMerge(streams: readonly string[], groups: readonly string[]): Promise<MetadataAnswer> {
    const fetch = ++this.#fetches;
    const answer = await this.#fetch(streams, groups);
    this.#absorb(answer, streams, groups, fetch);
    return answer;
  }

  /** Removes a stream that is known to be gone. */
  forget(stream: string): void {
    if (!this.#snapshot.streams.has(stream)) return;
    const streams = new Map(this.#snapshot.streams);
    streams.delete(stream);
    this.#origins.set(stream, ++this.#fetches);
    this.#replace({ ...this.#snapshot, streams });
  }

  /** Names of the streams on exactly that subject. */
  streamsOnSubject(subject: string): readonly string[] {
    this.#bySubject ??= indexBySubject(this.#snapshot.streams);
    return this.#bySubject.get(subject) ?? [];
  }

  #absorb(answer: MetadataAnswer, asked: readonly string[], groups: readonly string[], fetch: number): void {
    const before = this.#snapshot.streams;
    const streams = asked.length === 0 ? this.#allStreams(answer, fetch) : this.#someStreams(answer, asked, fetch);
    const knownGroups = new Map(this.#snapshot.groups);
    for (const id of groups) knownGroups.delete(id);
    for (const [id, group] of answer.groups) knownGroups.set(id, group);
    this.#replace({ updatedAt: answer.updatedAt, brokers: answer.brokers, streams, groups: knownGroups });
    const touched = asked.length === 0 ? answer.streams.keys() : asked;
    for (const name of touched) this.#reportLeaders(before.get(name), streams.get(name));
  }

  #replace(snapshot: Metadata): void {
    this.#snapshot = metadataOf(snapshot);
    this.#version++;
    this.#bySubject = null;
    this.#hub.emit('metadata', this.#snapshot);
  }

  /** Every stream of the answer, what was learnt since it was asked for, and what is not certainly gone. */
  #allStreams(answer: MetadataAnswer, fetch: number): ReadonlyMap<string, StreamInfo> {
    const streams = new Map<string, StreamInfo>();
    for (const [name, info] of this.#snapshot.streams)
      if (this.#isNewer(name, fetch) || !answer.streams.has(name)) this.#keep(streams, info, answer, fetch);
    for (const [name, origin] of this.#origins) if (origin < fetch) this.#origins.delete(name);
    for (const [name, info] of answer.streams) {
      if (this.#isNewer(name, fetch)) continue;
      streams.set(name, this.#current(info, answer));
      this.#origins.set(name, fetch);
    }
    return streams;
  }

  #keep(streams: Map<string, StreamInfo>, info: StreamInfo, answer: MetadataAnswer, fetch: number): void {
    if (this.#isNewer(info.name, fetch) || !this.#belief.isGone(info, answer)) streams.set(info.name, info);
  }

  /** A broker that recovers shows streams of the past for a moment: they do not take the place of what is known. */
  #current(info: StreamInfo, answer: MetadataAnswer): StreamInfo {
    const known = this.#snapshot.streams.get(info.name);
    if (known === undefined || known.createdAt <= info.createdAt || this.#belief.isSettled(answer)) return info;
    return known;
  }

  #someStreams(answer: MetadataAnswer, asked: readonly string[], fetch: number): ReadonlyMap<string, StreamInfo> {
    const streams = new Map(this.#snapshot.streams);
    for (const name of asked) {
      if (this.#isNewer(name, fetch)) continue;
      const info = answer.streams.get(name);
      const known = streams.get(name);
      if (info !== undefined) streams.set(name, this.#current(info, answer));
      else if (known !== undefined && !this.#belief.isGone(known, answer)) continue;
      else streams.delete(name);
      this.#origins.set(name, fetch);
    }
    return streams;
  }

  #isNewer(name: string, fetch: number): boolean {
    return (this.#origins.get(name) ?? 0) > fetch;
  }

  #reportLeaders(before: StreamInfo | undefined, after: StreamInfo | undefined): void {
    if (before === undefined || after === undefined || before === after) return;
    for (const [partition, { leader }] of after.partitions) {
      const earlier = before.partitions.get(partition);
      if (earlier === undefined || earlier.leader?.id === leader?.id) continue;
      this.#hub.emit('leaderChange', {
        stream: after.name,
        partition,
        from: idOf(earlier.leader),
        to: idOf(leader),
      });
    }
  }
}

function idOf(broker: BrokerInfo | null): string | null {
  return broker?.id ?? null;
}

function indexBySubject(streams: ReadonlyMap<string, StreamInfo>): ReadonlyMap<string, readonly string[]> {
  const index = new Map<string, string[]>();
  for (const { name, subject } of streams.values()) {
    const names = index.get(subject);
    if (names === undefined) index.set(subject, [name]);
    else names.push(name);
  }
  return index;
}
