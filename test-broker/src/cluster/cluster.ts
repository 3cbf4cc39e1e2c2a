import type { Clock } from '../clock.js';
import type { Faults } from '../faults.js';
import { CoordinatorReports } from '../groups/reports.js';
import { RpcError } from '../grpc/status.js';
import type { PartitionStorage } from '../log/storage.js';
import type { Bus } from '../nats/bus.js';
import type { BrokerRecovery } from '../recovery/broker-recovery.js';
import type { HeldPhase } from '../recovery/phase.js';
import type { RecoveryPlan } from '../recovery/plan.js';
import type { ResolvedSettings } from '../settings.js';
import { directoryTiming } from './broker-directory.js';
import { Connectivity } from './connectivity.js';
import type { BrokerLoad, PartitionState, StreamState } from './contract.js';
import { Controller } from './controller.js';
import { Failover } from './failover.js';
import { createInternalStreams } from './internal-streams.js';
import { Member } from './member.js';
import { Node } from './node.js';
import { OperationLog } from './operation-log.js';
import type { Replica } from './partition.js';
import { Proposals } from './proposals.js';
import { Recoveries } from './recoveries.js';
import { ReplicationLinks } from './replication-links.js';
import { clearMetadata } from './reset.js';
import { clusterTiming } from './timing.js';
import { OperationValidator } from './validator.js';

/** How a {@link Cluster} is set up. */
export interface ClusterOptions {
  /** Ids of the brokers. */
  readonly brokers: readonly string[];
  readonly clock: Clock;
  readonly bus: Bus;
  readonly settings: ResolvedSettings;
  readonly faults: Faults;
  /** Storage of a partition on a broker; null for memory only. */
  readonly storage: (broker: string, stream: StreamState, partition: number) => PartitionStorage | null;
  readonly warn: (message: string) => void;
}

/** The brokers of one cluster and what they exchange besides NATS messages: metadata, replication, failover. */
export class Cluster {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly log: OperationLog;
  readonly #options: ClusterOptions;
  readonly #connectivity: Connectivity;
  readonly #controller: Controller;
  readonly #proposals: Proposals;
  readonly #links: ReplicationLinks;
  readonly #failover: Failover;
  readonly #reports: CoordinatorReports;
  readonly #members = new Map<string, Member>();
  readonly #recoveries: Recoveries;
  #closed = false;

  constructor(options: ClusterOptions) {
    const { brokers, clock, faults, settings } = options;
    const timing = clusterTiming(settings);
    this.#options = options;
    this.log = new OperationLog();
    this.nodes = new Map(brokers.map((id, index) => [id, this.#node(id, index)]));
    this.#reports = new CoordinatorReports(clock, { timeout: settings.settings['groups.coordinator.timeout'] });
    const connectivity = new Connectivity(brokers, faults);
    this.#connectivity = connectivity;
    this.#controller = new Controller({
      clock,
      timing,
      connectivity,
      log: this.log,
      delayOf: (broker) => faults.network.metadataDelay(this.nodes.get(broker)!.index),
      validator: new OperationValidator(this.nodes, clock, this.#reports, faults.network.unawareLeader),
      onLeader: () => {
        faults.network.unawareLeader.elected();
        this.#forgetReports();
      },
    });
    for (const node of this.nodes.values()) this.#join(node);
    this.#proposals = new Proposals({
      bus: options.bus,
      controller: this.#controller,
      connectivity,
      members: this.#members,
      newest: () => this.newest,
    });
    this.#recoveries = new Recoveries({
      nodes: this.nodes,
      members: this.#members,
      connectivity,
      clock,
      log: this.log,
      catchUp: (broker) => this.#controller.catchUp([broker]),
    });
    this.#links = new ReplicationLinks(
      this.nodes,
      connectivity,
      (...isr) => this.#proposals.changeIsr(...isr),
      clock,
      timing,
    );
    this.#failover = new Failover({
      nodes: this.nodes,
      connectivity,
      clock,
      timing,
      controllerOf: (broker) => this.#proposals.leaderOf(broker),
      changeLeader: (controller, partition, leader) => this.#proposals.changeLeader(controller, partition, leader),
    });
  }

  /** Starts all brokers and elects the first metadata leader; resolves when the internal streams exist. */
  async start(): Promise<void> {
    this.#restore(false);
    for (const broker of this.nodes.keys()) this.#connectivity.setRunning(broker, true);
    for (const node of this.nodes.values()) node.serve();
    for (const broker of this.nodes.keys()) this.#connectivity.setServing(broker);
    this.#controller.begin();
    for (const broker of this.nodes.keys()) await this.#controller.applied(broker);
    await this.#createInternalStreams();
  }

  /** Prepares brokers that recover the data of an earlier process: they know nothing until `recover`. */
  prepareRecovery(): void {
    this.#restore(true);
    for (const broker of this.nodes.keys()) this.#recoveries.hide(broker);
  }

  /**
   * Moves all brokers, which already listen, through the phases of a restart. Each elects and replays as a server does.
   */
  recover(plan: RecoveryPlan): void {
    const recoveries = Array.from(this.nodes.keys(), (broker) => this.#recoveries.begin(broker, plan, null));
    const created = Promise.all(recoveries.map(({ ready }) => ready)).then(() => this.#createInternalStreams());
    created.catch((error: unknown) => {
      // Brokers that stop during this create nothing; the callers that wait for them receive the error.
      if (error instanceof RpcError && !this.#closed) this.#options.warn(error.message);
    });
  }

  /** Stops a broker, gracefully or as a kill does. */
  stopBroker(broker: string, graceful = false): void {
    if (!this.#connectivity.running(broker) && !this.#recoveries.get(broker)) return;
    this.#recoveries.stop(broker, `broker ${broker} was stopped before it was ready`);
    const node = this.nodes.get(broker)!;
    node.stop(graceful);
    this.#connectivity.setRunning(broker, false);
    this.#options.faults.thaw(node.index);
  }

  /** Starts a broker that is ready at once. */
  startBroker(broker: string): void {
    if (this.running(broker)) return;
    // First the operations that it missed: otherwise it would briefly lead partitions that others lead now.
    this.#connectivity.setUp(broker);
    this.#controller.catchUp([broker]);
    this.nodes.get(broker)!.start();
  }

  /** Hides the metadata of a broker that is about to listen and recover. */
  prepareBroker(broker: string): void {
    this.#recoveries.hide(broker);
  }

  /** Moves a broker, which already listens, through the phases of a restart. */
  recoverBroker(broker: string, plan: RecoveryPlan, hold: HeldPhase | null): BrokerRecovery {
    return this.#recoveries.begin(broker, plan, hold);
  }

  /** Starts a broker whose metadata snapshot keeps its partitions and groups from starting. */
  startSilently(broker: string): void {
    if (!this.running(broker)) this.#recoveries.beginSilently(broker);
  }

  /** Removes streams that were deleted and recreated from the groups of a broker. */
  loseRecreatedStreams(broker: string): void {
    this.#recoveries.loseRecreatedStreams(broker);
  }

  /** The recovery of a broker that is not ready yet. */
  recovery(broker: string): BrokerRecovery | undefined {
    return this.#recoveries.get(broker);
  }

  /** Whether a broker serves calls, recovered or not. */
  running(broker: string): boolean {
    return this.#connectivity.running(broker) || this.#recoveries.get(broker) !== undefined;
  }

  /** Whether any broker but this one has recovered. */
  survives(broker: string): boolean {
    return [...this.nodes.keys()].some((other) => other !== broker && this.#connectivity.serving(other));
  }

  /** The broker with the newest metadata: the metadata leader, or without one the broker that has applied most. */
  get newest(): Node {
    const { leader } = this.#controller;
    if (leader !== null) return this.nodes.get(leader)!;
    const [first, ...others] = this.#members.values();
    const newest = others.reduce((known, other) => (other.position > known.position ? other : known), first!);
    return this.nodes.get(newest.id)!;
  }

  /** The number of streams. */
  get streamCount(): number {
    return [...this.newest.metadata.streams()].length;
  }

  /** Resolves when every running broker has applied all committed operations, and NATS knows all subscriptions. */
  async settled(): Promise<void> {
    for (const broker of this.nodes.keys()) {
      if (this.#connectivity.serving(broker)) await this.#controller.applied(broker);
    }
    await this.#options.bus.flush();
  }

  /** Deletes every group and every stream, and creates the internal streams again. */
  async reset(): Promise<void> {
    const leader = await this.#controller.ready();
    const node = this.nodes.get(leader)!;
    await clearMetadata(node);
    this.log.restartHistory();
    await createInternalStreams(node, node.settings);
    await this.settled();
    for (const each of this.nodes.values()) each.forgetBrokers();
  }

  /** Makes another replica the leader, after it has fetched all messages. Throws RpcError without a quorum. */
  moveLeader(partition: PartitionState, leader: string): void {
    const controller = this.#controller.leader;
    if (controller === null) throw new RpcError('INTERNAL', 'no known metadata leader');
    const { stream, id, leader: former } = partition;
    this.#links.catchUp(former, leader, stream, id);
    this.#controller.commitNow(controller, { kind: 'change-leader', stream, partition: id, leader });
    this.#controller.catchUp([former, leader]);
  }

  /**
   * Truncates the log of a follower. The follower then fetches the missing messages again, if it reaches its leader.
   */
  truncateReplica(broker: string, replica: Replica, offset: number): void {
    replica.log.truncate(offset);
    this.#links.following(broker, replica);
  }

  close(): void {
    this.#closed = true;
    this.#recoveries.close();
    this.#controller.close();
    this.#failover.close();
    this.#links.close();
    this.#reports.clear();
    this.#connectivity.close();
    for (const node of this.nodes.values()) node.stop(true);
  }

  #node(id: string, index: number): Node {
    const { clock, bus, settings, faults, warn } = this.#options;
    return new Node({
      id,
      index,
      clock,
      bus,
      settings: settings.settings,
      directory: directoryTiming(settings),
      faults,
      warn,
      storage: (stream, partition) => this.#options.storage(id, stream, partition),
      surroundings: {
        clusterSize: this.#options.brokers.length,
        isMetadataLeader: (broker) => this.#members.get(broker)!.leader === broker,
        propose: (broker, operation, options) => this.#proposals.propose(broker, operation, options),
        joinGroup: (broker, operation, options) => this.#proposals.joinGroup(broker, operation, options),
        isUnlisted: (broker) => faults.network.isUnlisted(this.nodes.get(broker)!.index),
        askPeers: (broker) => this.#askPeers(broker),
        appended: (broker, replica) => this.#links.appended(broker, replica),
        committed: (broker, replica) => this.#links.committed(broker, replica),
        following: (broker, replica) => this.#links.following(broker, replica),
      },
    });
  }

  #join(node: Node): void {
    const member = new Member(node.id, this.#options.clock, this.log, (entry) => node.apply(entry));
    this.#members.set(node.id, member);
    this.#controller.add(member);
  }

  #restore(checkpointed: boolean): void {
    for (const member of this.#members.values()) member.catchUp();
    for (const node of this.nodes.values()) node.restored(checkpointed);
  }

  async #createInternalStreams(): Promise<void> {
    const leader = await this.#controller.ready();
    await createInternalStreams(this.nodes.get(leader)!, this.#options.settings.settings);
  }

  *#askPeers(broker: string): Generator<BrokerLoad | null> {
    for (const peer of this.nodes.values()) {
      if (peer.id !== broker) yield this.#connectivity.connected(broker, peer.id) ? peer.load() : null;
    }
  }

  /** Only the metadata leader counts reports: a new one has received none. */
  #forgetReports(): void {
    this.#failover.forget();
    this.#reports.clear();
  }
}
