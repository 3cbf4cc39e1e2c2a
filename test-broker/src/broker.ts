import { type InspectOptions, inspect } from 'node:util';
import { quoted } from 'liftbridge-client/protocol';
import type { BrokerServer } from './broker-server.js';
import type { BrokerClock, MovableClock } from './clock.js';
import type { Cluster } from './cluster/cluster.js';
import type { PartitionState } from './cluster/contract.js';
import type { Faults } from './faults.js';
import type { BusEndpoint } from './nats/bus-endpoint.js';
import { type NatsClientOptions, type NatsServerOptions, resolveNatsServer } from './nats-options.js';
import { type BrokerParts, openBroker } from './open-broker.js';
import { BrokerOptionError, show, wrongValue } from './option-error.js';
import { resolveOptions, type TestBrokerOptions } from './options.js';
import type { Recovery } from './recovery/phase.js';
import type { Restarts, StartBrokerOptions, StopBrokerOptions } from './restarts.js';
import { type StoredMessage, storedMessage } from './stored-message.js';

const CLOSE_GRACE_MS = 200;

/**
 * One or more Liftbridge brokers in this process, on ports of the loopback interface. Clients see what they would see
 * of real brokers. Everything is kept in memory unless there is a `dataDir`.
 */
export class TestBroker implements AsyncDisposable {
  /** Address of each broker, `host:port`, also while it is stopped. */
  readonly addresses: string[];
  /** Injected faults. */
  readonly faults: Faults;
  readonly #clock: MovableClock;
  readonly #cluster: Cluster;
  readonly #servers: readonly BrokerServer[];
  readonly #restarts: Restarts;
  readonly #endpoint: BusEndpoint;
  readonly #release: () => Promise<void>;
  #closed: Promise<void> | null = null;

  /**
   * Starts a broker or a cluster and resolves once it serves calls. Rejects with BrokerOptionError for an unknown
   * option or an invalid value, and with the system's error for a port that is in use (`EADDRINUSE`).
   */
  static async start(options: TestBrokerOptions = {}): Promise<TestBroker> {
    return new TestBroker(await openBroker(resolveOptions(options)));
  }

  private constructor({ clock, faults, cluster, servers, restarts, endpoint, release }: BrokerParts) {
    this.#clock = clock;
    this.faults = faults;
    this.#cluster = cluster;
    this.#servers = servers;
    this.#restarts = restarts;
    this.#endpoint = endpoint;
    this.addresses = servers.map((server) => server.address);
    this.#release = release;
  }

  /**
   * Address where NATS clients reach the NATS of the brokers, with the brokers' credentials if they have any; null
   * without `nats`. The clients of Go and Python read credentials in a URL, those of Node do not: see `natsOptions`.
   */
  get natsUrl(): string | null {
    return this.#endpoint.url;
  }

  /** The same for `connect` of the packages `nats` and `@nats-io/transport-node`, certificates included. */
  get natsOptions(): NatsClientOptions | null {
    return this.#endpoint.client;
  }

  /** The clock of the brokers. */
  get clock(): BrokerClock {
    return this.#clock;
  }

  /** Number of open subscriptions, by broker. */
  get openSubscriptions(): readonly number[] {
    return this.#servers.map(({ node }) => node.subscribers);
  }

  /**
   * Stops a broker: cuts its connections, and others take over its partitions. By default it stops as by a kill: a
   * restart with recovery may treat messages of the last five seconds as not committed, until the next message.
   */
  async stopBroker(broker: number, options: StopBrokerOptions = {}): Promise<void> {
    await this.#restarts.stop(this.#server(broker), options);
  }

  /**
   * Starts a stopped broker again, on its port and with its data. Resolves once it serves calls, which is before it has
   * recovered: see `recoveryTime`. The result tells the phase and when the broker is ready, and releases a hold.
   */
  async startBroker(broker: number, options: StartBrokerOptions = {}): Promise<Recovery> {
    return this.#restarts.start(this.#server(broker), options);
  }

  /** Resolves once every running broker has recovered. Rejects when one stops before. */
  async ready(): Promise<void> {
    await this.#restarts.ready();
  }

  /** Index of the broker that leads a partition, running or not. Throws BrokerOptionError for an unknown partition. */
  leaderOf(stream: string, partition = 0): number {
    return this.#indexOf(this.#partition(stream, partition).leader);
  }

  /**
   * Makes broker `to` the leader of a partition. Waits for brokers that recover, and resolves once every broker knows.
   * Throws BrokerOptionError for an unknown partition and for a broker that has no replica of it or does not run.
   */
  async moveLeader(stream: string, partition: number, to: number): Promise<void> {
    const state = this.#partition(stream, partition);
    const { id } = this.#server(to).node;
    if (!state.replicas.includes(id)) {
      const replicas = state.replicas.map((replica) => this.#indexOf(replica)).join(', ');
      throw wrongValue(
        'to',
        `a broker with a replica of partition ${partition} of ${quoted(stream)} (${replicas})`,
        to,
      );
    }
    if (!this.#cluster.running(id)) throw wrongValue('to', 'a running broker', to);
    await this.ready();
    if (state.leader !== id) this.#cluster.moveLeader(state, id);
    await this.#cluster.settled();
  }

  /**
   * Truncates the log of a follower to the messages before `offset`, below its high watermark, like a server that
   * received a wrong end of the last leader epoch. Until the follower has fetched the messages again, subscriptions on
   * it fail. Throws BrokerOptionError for an unknown partition and for a broker that does not follow it.
   */
  truncateReplica(stream: string, partition: number, broker: number, offset: number): void {
    const state = this.#partition(stream, partition);
    const { id } = this.#server(broker).node;
    const replica = this.#cluster.nodes.get(id)?.replicas.get(stream, partition);
    if (replica === undefined || replica.log.state !== 'open' || state.leader === id)
      throw wrongValue('broker', `a broker that follows partition ${partition} of ${quoted(stream)}`, broker);
    if (!Number.isSafeInteger(offset) || offset < 0) throw wrongValue('offset', 'an integer of at least 0', offset);
    this.#cluster.truncateReplica(id, replica, offset);
  }

  /**
   * The messages that the leader of a partition has stored, committed or not; without `partition` those of all
   * partitions, one after the other.
   */
  messages(stream: string, partition?: number): StoredMessage[] {
    if (partition === undefined) {
      const { partitions } = this.#stream(stream);
      return partitions.flatMap(({ id }) => this.messages(stream, id));
    }
    const { leader } = this.#partition(stream, partition);
    const log = this.#cluster.nodes.get(leader)?.replicas.get(stream, partition)?.log;
    return log ? Array.from(log.records(), (record) => storedMessage(stream, partition, record)) : [];
  }

  /**
   * Reads the access policy again, if `tls.client.authz.policy` is the path of a file; the server does so on SIGHUP.
   * Throws BrokerOptionError, and keeps the previous policy, when the file cannot be read.
   */
  reloadAccessPolicy(): void {
    for (const server of this.#servers) server.reloadAccessPolicy();
  }

  /**
   * Connects the brokers to another NATS server, or to the same one with other credentials. Resolves once the streams
   * listen there. It restores a connection that the server has permanently rejected. Rejects, and changes nothing, when
   * it cannot connect, and with BrokerOptionError when the brokers were not started with a NATS server.
   */
  async attachNats(nats: string | NatsServerOptions): Promise<void> {
    const { attach } = this.#endpoint;
    if (attach === null)
      throw new BrokerOptionError(
        'nats',
        '(server)',
        'attachNats requires a broker that was started with a NATS server in the option nats',
      );
    await attach(resolveNatsServer(nats));
  }

  /** Restores the initial state on the same ports: no streams, groups and cursors, no faults, every broker running. */
  async reset(): Promise<void> {
    await this.faults.nats('up');
    this.faults.clear();
    await this.#restarts.finish();
    await this.#cluster.reset();
  }

  /** Closes all connections and frees the ports. Open calls end with UNAVAILABLE. May be called twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For logs: where it is reached, which brokers run, and what they have. @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const brokers = this.#servers.map(({ node }, index) => {
      const running = this.#closed === null && this.#cluster.running(node.id);
      return `${node.id} at ${this.addresses[index]}, ${running ? 'running' : 'stopped'}`;
    });
    const streams = Array.from(this.#cluster.newest.metadata.streams(), ({ name }) => name);
    return `TestBroker ${inspect({ brokers, streams }, options)}`;
  }

  async #close(): Promise<void> {
    this.faults.clear();
    this.#restarts.close();
    await Promise.all(this.#servers.map((server) => server.close(CLOSE_GRACE_MS)));
    await this.#release();
  }

  #server(broker: number): BrokerServer {
    const server = Number.isInteger(broker) ? this.#servers[broker] : undefined;
    if (!server) throw wrongValue('broker', `an index from 0 to ${this.#servers.length - 1}`, broker);
    return server;
  }

  #indexOf(id: string): number {
    return this.#servers.findIndex(({ node }) => node.id === id);
  }

  #stream(name: string) {
    if (typeof name !== 'string') throw wrongValue('stream', 'the name of a stream', name);
    const stream = this.#cluster.newest.metadata.stream(name);
    if (!stream) throw new BrokerOptionError('stream', name, `stream ${quoted(name)} does not exist`);
    return stream;
  }

  #partition(stream: string, id: number): PartitionState {
    const { partitions } = this.#stream(stream);
    const partition = Number.isInteger(id) ? partitions[id] : undefined;
    if (!partition)
      throw new BrokerOptionError('partition', id, `stream ${quoted(stream)} has no partition ${show(id)}`);
    return partition;
  }
}
