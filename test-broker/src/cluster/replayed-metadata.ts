import type { Group } from '../groups/group-table.js';
import type { PartitionReplica, PartitionState, StreamState } from './contract.js';
import { MetadataState } from './metadata-state.js';
import type { LoggedOperation } from './operation-log.js';

/** The metadata and replicas that a broker shows to clients while it recovers. */
export interface MetadataView {
  stream(name: string): StreamState | undefined;
  streams(): Iterable<StreamState>;
  group(id: string): Group | undefined;
  groups(): Iterable<Group>;
  /** The replica that clients see; `own` is the replica of the broker. */
  replica(own: PartitionReplica | undefined, stream: string, partition: number): PartitionReplica | undefined;
}

/** The view of a broker that has not replayed anything yet. */
export const EMPTY_VIEW: MetadataView = Object.freeze({
  stream: () => undefined,
  streams: () => [],
  group: () => undefined,
  groups: () => [],
  replica: () => undefined,
});

/**
 * The metadata of a broker during its replay: a past state. Deleted streams remain in it until the replay ends, and
 * leaders and coordinators are those of that time.
 */
export class ReplayedMetadata implements MetadataView {
  readonly #broker: string;
  readonly #entries: readonly LoggedOperation[];
  readonly #metadata = new MetadataState();
  readonly #deposed: ReadonlySet<string>;
  #applied = 0;

  /**
   * `entries`: the operations that the broker had applied when it stopped. `missed`: the operations committed since.
   * This broker still believes that it leads a partition whose leader changed in them.
   */
  constructor(broker: string, entries: readonly LoggedOperation[], missed: Iterable<LoggedOperation>) {
    this.#broker = broker;
    this.#entries = entries;
    const deposed = new Set<string>();
    for (const { operation } of missed) {
      if (operation.kind === 'change-leader') deposed.add(keyOf(operation.stream, operation.partition));
    }
    this.#deposed = deposed;
  }

  /** Replays up to a share of the operations, a number from 0 to 1. */
  advance(part: number): void {
    const end = Math.min(this.#entries.length, Math.ceil(part * this.#entries.length));
    while (this.#applied < end) {
      const { index, operation } = this.#entries[this.#applied++]!;
      // Deletions take effect at the end of the replay only.
      if (operation.kind !== 'delete-stream') this.#metadata.apply(operation, index);
    }
  }

  stream(name: string): StreamState | undefined {
    return this.#metadata.stream(name);
  }

  streams(): Iterable<StreamState> {
    return this.#metadata.streams();
  }

  group(id: string): Group | undefined {
    return this.#metadata.group(id);
  }

  groups(): Iterable<Group> {
    return this.#metadata.groups();
  }

  replica(own: PartitionReplica | undefined, stream: string, partition: number): PartitionReplica | undefined {
    const state = this.#metadata.partition(stream, partition);
    if (!own || !state) return undefined;
    return new ShownReplica(own, this.#believesToLead(state));
  }

  #believesToLead({ stream, id, leader, paused }: PartitionState): boolean {
    return leader === this.#broker && !paused && this.#deposed.has(keyOf(stream, id));
  }
}

/** A replica with another value of `leading`. */
class ShownReplica implements PartitionReplica {
  readonly leading: boolean;
  readonly #own: PartitionReplica;

  constructor(own: PartitionReplica, leading: boolean) {
    this.#own = own;
    this.leading = leading;
  }

  get stream() {
    return this.#own.stream;
  }

  get id() {
    return this.#own.id;
  }

  get log() {
    return this.#own.log;
  }

  get receivedTimes() {
    return this.#own.receivedTimes;
  }

  get closedBy() {
    return this.#own.closedBy;
  }

  addSubscriber(): () => void {
    return this.#own.addSubscriber();
  }
}

function keyOf(stream: string, partition: number): string {
  return `${stream}\n${partition}`;
}
