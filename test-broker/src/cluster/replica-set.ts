import { PartitionLog } from '../log/partition-log.js';
import type { PartitionStorage } from '../log/storage.js';
import type { Operation, PartitionState, StreamState } from './contract.js';
import { masterKey } from './master-key.js';
import type { MetadataState } from './metadata-state.js';
import { Replica, type ReplicaHost } from './partition.js';
import { encrypts, logConfig } from './partition-config.js';

/** The broker that a {@link ReplicaSet} belongs to. */
export interface ReplicaSetHost extends ReplicaHost {
  /** A replica starts or continues to follow: its leader may have messages for it. */
  following(replica: Replica): void;
  /** Storage of a partition; null for memory only. */
  storage(stream: StreamState, partition: number): PartitionStorage | null;
}

/** The replicas of a broker, as its metadata defines them. */
export class ReplicaSet {
  readonly #host: ReplicaSetHost;
  readonly #metadata: MetadataState;
  readonly #replicas = new Map<string, (Replica | undefined)[]>();
  /** Open replicas that neither lead nor follow yet, because their broker recovers. */
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

  /** Applies an operation to the replicas, after the metadata has applied it. */
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
   * Opens the replicas in the metadata with the files of an earlier process. `checkpointed`: only the last checkpoint
   * tells which messages are committed.
   */
  restore(checkpointed: boolean): void {
    this.#recovering = true;
    this.#checkpointed = checkpointed;
    for (const stream of this.#metadata.streams()) this.#create(stream);
    this.#checkpointed = false;
  }

  /** Closes all logs, because the broker stops. `graceful`: with a checkpoint of what is committed. */
  stop(graceful: boolean): void {
    this.#dormant.clear();
    for (const replica of this) {
      if (replica.closedBy !== null) continue;
      if (graceful) replica.close('shutdown');
      else replica.kill();
    }
  }

  /**
   * Opens all logs, because the broker starts again. `checkpointed`: only the last checkpoint tells which messages are
   * committed.
   */
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

  /**
   * Starts to lead and follow as the metadata says. `silent`: existing replicas do neither until they have been paused.
   */
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

  /** A stream from disk may be paused or readonly from the start. */
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
      // The other replicas decide which messages are committed.
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
