import { PartitionLog } from '../log/partition-log.js';
import type { PartitionStorage } from '../log/storage.js';
import type { Operation, PartitionState, StreamState } from './contract.js';
import { masterKey } from './master-key.js';
import type { MetadataState } from './metadata-state.js';
import { Replica, type ReplicaHost } from './partition.js';
import { encrypts, logConfig } from './partition-config.js';

/** What a {@link ReplicaSet} asks of its broker beside what a replica does. */
export interface ReplicaSetHost extends ReplicaHost {
  /** A replica follows from now on, or goes on following: its leader may have something for it. */
  following(replica: Replica): void;
  /** Where a partition is kept; null for memory only. */
  storage(stream: StreamState, partition: number): PartitionStorage | null;
}

/** The replicas that a broker holds, kept as the broker's metadata says. */
export class ReplicaSet {
  readonly #host: ReplicaSetHost;
  readonly #metadata: MetadataState;
  readonly #replicas = new Map<string, (Replica | undefined)[]>();
  /** Open replicas that neither lead nor follow yet, as their broker recovers. */
  readonly #dormant = new Set<Replica>();
  #recovering = false;
  #checkpointed = false;

  constructor(host: ReplicaSetHost, metadata: MetadataState) {
    this.#host = host;
    this.#metadata = metadata;
  }

  get(stream: string, partition: number): Replica | undefined {
    return this.#replicas.get(stream)?.[partition];
  }

  /** Whether a replica is open and neither leads nor follows. */
  isDormant(replica: Replica): boolean {
    return this.#dormant.has(replica);
  }

  *[Symbol.iterator](): Generator<Replica> {
    for (const partitions of this.#replicas.values()) {
      for (const replica of partitions) if (replica) yield replica;
    }
  }

  /** Does to the replicas what an operation does to the metadata, which has applied it already. */
  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'create-stream':
        this.#create(this.#metadata.stream(operation.name)!);
        return;
      case 'delete-stream':
        this.#delete(operation.name);
        return;
      case 'pause-stream':
        this.#each(operation.name, operation.partitions, (replica) => replica.close('pause'));
        return;
      case 'resume-stream':
        this.#each(operation.name, operation.partitions, (replica) => this.#resume(replica));
        return;
      case 'set-readonly':
        this.#each(operation.name, operation.partitions, (replica) => {
          replica.log.readonly = operation.readonly;
        });
        return;
      case 'change-leader':
        this.#each(operation.stream, [operation.partition], (replica) => this.#changeLeader(replica));
        return;
      case 'shrink-isr':
      case 'expand-isr':
        this.#each(operation.stream, [operation.partition], (replica) => replica.advance());
        return;
    }
  }

  /**
   * Opens what the metadata knows of, with what is on disk, in a process that goes on after another one. `checkpointed`:
   * what is committed is known by the last checkpoint only.
   */
  restore(checkpointed: boolean): void {
    this.#recovering = true;
    this.#checkpointed = checkpointed;
    for (const stream of this.#metadata.streams()) this.#create(stream);
    this.#checkpointed = false;
  }

  /** The broker stops: logs close, nothing is taken in. `graceful`: it notes what is committed. */
  stop(graceful: boolean): void {
    this.#dormant.clear();
    for (const replica of this) {
      if (replica.closedBy !== null) continue;
      if (graceful) replica.close('shutdown');
      else replica.kill();
    }
  }

  /** The broker is back: logs open. `checkpointed`: what is committed is known by the last checkpoint only. */
  reopen(checkpointed: boolean): void {
    this.#recovering = true;
    for (const replica of this) {
      if (replica.closedBy !== 'shutdown') continue;
      replica.forgetReceived();
      replica.reopen();
      if (checkpointed) replica.log.fallBackToCheckpoint();
      this.#begin(replica);
    }
  }

  /** Leads and follows as the metadata says. `silent`: what was there before does neither until it was paused. */
  begin(silent = false): void {
    this.#recovering = false;
    if (silent) return;
    const replicas = [...this.#dormant];
    this.#dormant.clear();
    for (const replica of replicas) if (replica.closedBy === null) this.#takeRole(replica);
  }

  #create(stream: StreamState): void {
    const replicas = stream.partitions.map((partition) =>
      partition.replicas.includes(this.#host.id) ? this.#open(stream, partition) : undefined,
    );
    this.#replicas.set(stream.name, replicas);
    for (const replica of replicas) if (replica) this.#begin(replica);
  }

  /** A stream that comes back from disk may be paused or readonly from the start. */
  #begin(replica: Replica): void {
    replica.log.readonly = replica.state.readonly;
    if (replica.state.paused) replica.close('pause');
    else this.#takeRole(replica);
  }

  #open(stream: StreamState, partition: PartitionState): Replica {
    const { clock, settings } = this.#host;
    const log = new PartitionLog({
      stream: stream.name,
      partition: partition.id,
      config: logConfig(stream.config, settings),
      clock,
      storage: this.#host.storage(stream, partition.id),
      encryption: encrypts(stream.config, settings) ? masterKey() : null,
      onWarning: (message) => this.#host.warn(message),
      // Other replicas decide what is committed.
      checkpointed: this.#checkpointed || partition.replicas.length > 1,
    });
    return new Replica(this.#host, stream, partition, log);
  }

  #delete(name: string): void {
    for (const replica of this.#replicas.get(name) ?? []) {
      if (!replica) continue;
      this.#dormant.delete(replica);
      replica.delete();
    }
    this.#replicas.delete(name);
  }

  #resume(replica: Replica): void {
    if (replica.closedBy !== 'pause') return;
    this.#dormant.delete(replica);
    replica.reopen();
    this.#takeRole(replica);
  }

  #changeLeader(replica: Replica): void {
    replica.follow();
    if (replica.closedBy === null) this.#takeRole(replica);
  }

  #takeRole(replica: Replica): void {
    if (this.#recovering) this.#dormant.add(replica);
    if (this.#dormant.has(replica)) return;
    if (replica.state.leader === this.#host.id) replica.lead();
    else this.#host.following(replica);
  }

  #each(stream: string, ids: readonly number[], change: (replica: Replica) => void): void {
    const replicas = this.#replicas.get(stream);
    if (!replicas) return;
    if (ids.length === 0) for (const replica of replicas) replica && change(replica);
    for (const id of new Set(ids)) {
      const replica = replicas[id];
      if (replica) change(replica);
    }
  }
}
