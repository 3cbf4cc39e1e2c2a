import type { Clock } from '../clock.js';
import type { Faults } from '../faults.js';
import type { Group } from '../groups/group-table.js';
import { RpcError } from '../grpc/status.js';
import { Listeners } from '../log/listeners.js';
import type { PartitionStorage } from '../log/storage.js';
import type { Bus } from '../nats/bus.js';
import type { Settings } from '../settings.js';
import { BrokerBus } from './broker-bus.js';
import { BrokerDirectory, type DirectoryTiming } from './broker-directory.js';
import type { BrokerLoad, BrokerNode, GroupGeneration, Operation, PartitionReplica, StreamState } from './contract.js';
import type { ProposeOptions } from './controller.js';
import { MetadataState } from './metadata-state.js';
import type { LoggedOperation } from './operation-log.js';
import type { Replica } from './partition.js';
import type { MetadataView } from './replayed-metadata.js';
import { ReplicaSet, type ReplicaSetHost } from './replica-set.js';

/** The cluster, as a node uses it. */
export interface NodeSurroundings {
  readonly clusterSize: number;
  /** Whether a broker believes that it is the metadata leader. */
  isMetadataLeader(broker: string): boolean;
  propose(broker: string, operation: Operation, options: ProposeOptions): Promise<bigint>;
  joinGroup(broker: string, operation: JoinGroup, options: ProposeOptions): Promise<GroupGeneration>;
  /** The load that each other broker reports; null for a broker that does not answer. */
  askPeers(broker: string): Iterable<BrokerLoad | null>;
  /** Whether a fault leaves a broker out of the lists of the others. */
  isUnlisted(broker: string): boolean;
  /** A leader on this broker has appended messages. */
  appended(broker: string, replica: Replica): void;
  /** The high watermark of a leader on this broker has moved. */
  committed(broker: string, replica: Replica): void;
  /** A follower on this broker is ready to fetch messages. */
  following(broker: string, replica: Replica): void;
}

/** How a {@link Node} is set up. */
export interface NodeOptions {
  readonly id: string;
  readonly index: number;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly settings: Settings;
  readonly directory: DirectoryTiming;
  readonly faults: Faults;
  readonly surroundings: NodeSurroundings;
  /** Storage of a partition; null for memory only. */
  readonly storage: (stream: StreamState, partition: number) => PartitionStorage | null;
  readonly warn: (message: string) => void;
}

/** A consumer joins a group. */
export type JoinGroup = Extract<Operation, { kind: 'join-group' }>;

interface Applied {
  readonly index: bigint;
  readonly operation: Operation;
}

/** One broker of the cluster: its copy of the metadata, and its replicas. */
export class Node implements BrokerNode, ReplicaSetHost {
  readonly id: string;
  readonly index: number;
  readonly clock: Clock;
  readonly bus: BrokerBus;
  readonly settings: Settings;
  readonly faults: Faults;
  readonly metadata = new MetadataState();
  readonly replicas: ReplicaSet;
  readonly storage: (stream: StreamState, partition: number) => PartitionStorage | null;
  readonly warn: (message: string) => void;
  readonly #surroundings: NodeSurroundings;
  readonly #applied = new Listeners<Applied>();
  readonly #recovered = new Listeners<void>();
  readonly #directory: BrokerDirectory;
  #restored = false;
  #serving = true;
  /** What clients see while the broker recovers; null for its own metadata. */
  #view: MetadataView | null = null;
  #address = { host: '', port: 0 };

  constructor(options: NodeOptions) {
    this.id = options.id;
    this.index = options.index;
    this.clock = options.clock;
    this.bus = new BrokerBus(options.bus, options.faults, options.index);
    this.settings = options.settings;
    this.faults = options.faults;
    this.storage = options.storage;
    this.warn = options.warn;
    this.#surroundings = options.surroundings;
    this.replicas = new ReplicaSet(this, this.metadata);
    const host = {
      clock: this.clock,
      askPeers: () => this.#surroundings.askPeers(this.id),
      ownLoad: () => this.load(),
      natsDown: () => this.faults.network.natsDown,
      isUnlisted: (broker: string) => this.#surroundings.isUnlisted(broker),
    };
    this.#directory = new BrokerDirectory(host, options.directory);
  }

  get isMetadataLeader(): boolean {
    return this.#surroundings.isMetadataLeader(this.id);
  }

  get clusterSize(): number {
    return this.#surroundings.clusterSize;
  }

  /** Whether its partitions and groups run: false until a restarted broker has recovered. */
  get serving(): boolean {
    return this.#serving;
  }

  stream(name: string): StreamState | undefined {
    return (this.#view ?? this.metadata).stream(name);
  }

  streams(): Iterable<StreamState> {
    return (this.#view ?? this.metadata).streams();
  }

  group(id: string): Group | undefined {
    return (this.#view ?? this.metadata).group(id);
  }

  groups(): Iterable<Group> {
    return (this.#view ?? this.metadata).groups();
  }

  replica(stream: string, partition: number): PartitionReplica | undefined {
    const own = this.replicas.get(stream, partition);
    return this.#view === null ? own : this.#view.replica(own, stream, partition);
  }

  async propose(operation: Operation, options: ProposeOptions): Promise<bigint> {
    const index = await this.#surroundings.propose(this.id, operation, options);
    if (operation.kind === 'resume-stream') this.metadata.clearResumeAll(operation.name);
    return index;
  }

  joinGroup(operation: JoinGroup, options: ProposeOptions): Promise<GroupGeneration> {
    return this.#surroundings.joinGroup(this.id, operation, options);
  }

  listBrokers(deadline: number | null): Promise<readonly BrokerLoad[]> {
    return this.#directory.list(deadline);
  }

  onApplied(listener: (index: bigint, operation: Operation) => void): () => void {
    return this.#applied.add(({ index, operation }) => listener(index, operation));
  }

  onServing(listener: () => void): () => void {
    return this.#recovered.add(listener);
  }

  /** Applies an operation that the cluster has committed. */
  apply({ index, operation }: LoggedOperation): void {
    this.metadata.apply(operation, index);
    if (this.#restored) this.#applyToReplicas(operation);
    this.#applied.tell({ index, operation });
  }

  /**
   * Opens the replicas that an earlier process left, after all its operations are applied. No replica leads or follows
   * before `serve`. `checkpointed`: only the last checkpoint tells which messages are committed.
   */
  restored(checkpointed: boolean): void {
    this.#restored = true;
    this.replicas.restore(checkpointed);
  }

  /** Sets the address where clients reach this broker. */
  announce(host: string, port: number): void {
    this.#address = { host, port };
  }

  /** This broker with its own count of its load. */
  load(): BrokerLoad {
    const { partitions, leaders } = this.metadata.loads.of(this.id);
    return { id: this.id, ...this.#address, partitionCount: partitions, leaderCount: leaders };
  }

  /** Discards the cached list of brokers. */
  forgetBrokers(): void {
    this.#directory.forget();
  }

  /** Number of open subscriptions on this broker. */
  get subscribers(): number {
    let sum = 0;
    for (const replica of this.replicas) sum += replica.subscribers;
    return sum;
  }

  /**
   * Stops the broker and cuts off its readers and publishers. `graceful`: it writes a checkpoint of what is committed.
   */
  stop(graceful: boolean): void {
    this.bus.discard();
    this.replicas.stop(graceful);
    this.#directory.forget();
  }

  /** Starts the broker again with the metadata that it had. */
  start(): void {
    this.reopen(false);
    this.serve();
  }

  /** Shows clients this view instead of its metadata until it recovers; null shows the metadata. */
  show(view: MetadataView | null): void {
    this.#view = view;
    this.#serving = false;
  }

  /**
   * Opens the logs of its replicas. No replica leads or follows before `serve`. `checkpointed`: only the last
   * checkpoint tells which messages are committed.
   */
  reopen(checkpointed: boolean): void {
    this.replicas.reopen(checkpointed);
  }

  /** Runs its partitions and groups. `silent`: none of the existing ones, until each has been paused. */
  serve(silent = false): void {
    this.#view = null;
    this.#serving = true;
    this.replicas.begin(silent);
    if (!silent) this.#recovered.tell();
  }

  sendAck(inbox: string, envelope: Buffer): void {
    if (this.faults.takeAckDrop()) return;
    const { ackDelay } = this.faults;
    if (ackDelay > 0) this.clock.after(ackDelay, () => this.#publishAck(inbox, envelope));
    else this.#publishAck(inbox, envelope);
  }

  appended(replica: Replica): void {
    this.#surroundings.appended(this.id, replica);
  }

  committed(replica: Replica): void {
    if (replica.state.replicas.length > 1) this.#surroundings.committed(this.id, replica);
  }

  following(replica: Replica): void {
    this.#surroundings.following(this.id, replica);
  }

  pauseIdle({ stream, id }: Replica): void {
    if (this.faults.network.isFrozen(this.index)) return;
    const operation: Operation = { kind: 'pause-stream', name: stream, partitions: [id], resumeAll: false };
    this.propose(operation, { deadline: null, failurePrefix: 'Failed to pause stream' }).catch((error: unknown) => {
      // Without a metadata leader the next tick of the timer tries again.
      if (!(error instanceof RpcError)) throw error;
    });
  }

  /** A failing disk must not stop the brokers from applying an operation that they agreed on. */
  #applyToReplicas(operation: Operation): void {
    try {
      this.replicas.apply(operation);
    } catch (error) {
      this.warn(`broker ${this.id} could not apply ${operation.kind}: ${String(error)}`);
    }
  }

  #publishAck(inbox: string, envelope: Buffer): void {
    try {
      this.bus.publish(inbox, envelope);
    } catch (error) {
      if (this.faults.network.natsDown) return;
      this.warn(`ack for ${JSON.stringify(inbox)} was not sent: ${String(error)}`);
    }
  }
}
