import { type Deadline, withDeadline } from '../async/deadline.js';
import { clearInterval, LONGEST_DELAY_MS, setInterval } from '../async/timers.js';
import { attempt, ClosedError, ConnectionError, type ErrorContext, type Operation } from '../errors.js';
import type { Logger, ResolvedClientOptions } from '../options.js';
import type { PartitionMetadata } from '../protocol/generated/api.js';
import type { DataSession } from '../transport/duplex.js';
import type { Address } from './addresses.js';
import { bootstrap } from './bootstrap.js';
import type { BrokerConnection } from './broker-connection.js';
import type { AdminCluster, BrokerTarget, CallBounds, Sought, Waiting } from './cluster-api.js';
import { ClusterView } from './cluster-view.js';
import { type ClusterEvents, EventHub } from './events.js';
import type { Existence } from './existence.js';
import { toConnectionError } from './failures.js';
import { LookupMiss, leaderIn } from './leader-lookup.js';
import type { BrokerInfo, Metadata, PartitionInfo } from './metadata.js';
import { MetadataAge } from './metadata-age.js';
import type { MetadataAnswer } from './metadata-answer.js';
import { MetadataCalls } from './metadata-calls.js';
import { toPartitionInfo } from './metadata-reader.js';
import { Pool } from './pool.js';
import { Prober } from './prober.js';
import { Sightings } from './sightings.js';
import { outOfTime, UnaryCaller } from './unary-caller.js';
import type { UnaryMethod, UnaryRequest, UnaryResponse } from './unary-calls.js';
import { UnaryRouter, unknownBroker } from './unary-router.js';

/** Routes each call to a broker: keeps the view of the cluster and the connections, and retries where that is safe. */
export class Router implements AdminCluster {
  readonly options: ResolvedClientOptions;
  readonly #hub = new EventHub();
  readonly #closing = new AbortController();
  readonly #caller: UnaryCaller;
  readonly #unary: UnaryRouter;
  readonly #calls: MetadataCalls;
  readonly #view: ClusterView;
  readonly #pool: Pool;
  readonly #prober: Prober;
  readonly #age: MetadataAge;
  /** Keeps the process alive while the client is open, also while no broker can be reached. */
  #alive: NodeJS.Timeout | undefined;

  constructor(seeds: readonly Address[], options: ResolvedClientOptions) {
    this.options = options;
    const settings = { options, hub: this.#hub, closed: this.#closing.signal };
    this.#caller = new UnaryCaller(settings);
    this.#pool = new Pool(seeds, settings, (connection) => this.#lost(connection));
    const sightings = new Sightings();
    this.#calls = new MetadataCalls(settings, this.#caller, this.#pool, sightings);
    this.#view = new ClusterView({ ...settings, calls: this.#calls, sightings, pool: this.#pool });
    this.#unary = new UnaryRouter(this, this.#caller, this.#pool, this.#view);
    this.#age = new MetadataAge(
      options.metadataMaxAge,
      (streams) => this.#refreshAged(streams),
      (stream) => this.metadata.streams.has(stream),
    );
    this.#prober = new Prober(this.#pool, settings, (connection, streams) => this.#calls.ask(connection, streams));
  }

  /** Tries the seeds until one answers, then fetches the metadata. Rejects with a ConnectionError that names every seed. */
  async connect(signal?: AbortSignal): Promise<void> {
    const bounds = { closed: this.#closing.signal, signal };
    await bootstrap(this.#pool.seeds, this.#prober, this.options, bounds, (seed) => {
      this.#calls.beginWith(seed);
      return this.#view.refresh();
    });
    this.#prober.start();
    this.#alive = setInterval(() => undefined, LONGEST_DELAY_MS);
  }

  get logger(): Logger {
    return this.options.logger;
  }

  get metadata(): Metadata {
    return this.#view.metadata;
  }

  /** Brokers that the client can talk to, for people to read. */
  get brokers(): readonly string[] {
    const shown = (id: string, address: string): string => (id === address ? address : `${id} at ${address}`);
    return this.#pool
      .candidates()
      .map(({ id, address, up }) => `${shown(id, address)}, ${up === true ? 'connected' : 'not connected'}`);
  }

  get version(): number {
    return this.#view.version;
  }

  /** Aborted, with the ClosedError to reject with, when the client closes. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  partitionCount(stream: string): number {
    const count = this.metadata.streams.get(stream)?.partitions.size ?? 0;
    if (count > 0 && !this.closed.aborted) this.#age.used(stream);
    return count;
  }

  createdAt(stream: string): number | null {
    return this.#view.createdAt(stream);
  }

  leader(stream: string, partition: number): BrokerTarget | null {
    const leader = this.metadata.streams.get(stream)?.partitions.get(partition)?.leader;
    return leader === null || leader === undefined ? null : this.#targetOf(leader.id);
  }

  isPaused(stream: string, partition: number): boolean {
    return this.metadata.streams.get(stream)?.partitions.get(partition)?.paused === true;
  }

  isr(stream: string, partition: number): readonly BrokerTarget[] {
    const isr = this.metadata.streams.get(stream)?.partitions.get(partition)?.isr ?? [];
    return isr.map(({ id }) => this.#targetOf(id)).filter((target) => target !== null);
  }

  callConnection(broker: BrokerTarget): number | null {
    return this.#pool.find(broker)?.callConnection ?? null;
  }

  streamsOnSubject(subject: string): readonly string[] {
    return this.#view.streamsOnSubject(subject);
  }

  async refresh(streams?: readonly string[], waiting: Waiting = {}): Promise<void> {
    await this.fetch(streams ?? [], [], waiting);
  }

  fetch(streams: readonly string[], groups: readonly string[], waiting: Waiting = {}): Promise<MetadataAnswer> {
    return this.bounded(
      waiting,
      (timeout) => outOfTime('FetchMetadata', timeout, undefined),
      () => this.#view.refresh(streams, groups),
    );
  }

  existence(sought: Sought, waiting: Waiting = {}): Promise<Existence> {
    return this.#view.existence(sought, waiting);
  }

  hasSeen(sought: Sought): boolean {
    return this.#view.hasSeen(sought);
  }

  noteCreated(stream: string): void {
    this.#view.noteCreated(stream);
  }

  forget(stream: string): void {
    this.#view.forget({ stream });
  }

  requireLeader(operation: Operation, stream: string, partition: number): BrokerInfo {
    try {
      return leaderIn(this.metadata, operation, stream, partition);
    } catch (error) {
      throw error instanceof LookupMiss ? error.error : error;
    }
  }

  readPartition(partition: PartitionMetadata): PartitionInfo {
    return toPartitionInfo(partition, (id) => this.#pool.known(id));
  }

  anyBroker(except?: ReadonlySet<string>): BrokerTarget {
    return this.#pool.choose(except);
  }

  async session(target: BrokerTarget, waiting: Waiting = {}, about: ErrorContext = {}): Promise<DataSession> {
    const { operation = 'Connect' } = about;
    const context = { ...about, operation, broker: target.id };
    const connection = this.#pool.find(target);
    if (connection === undefined) throw unknownBroker(operation, target.id, about);
    const late = (ms: number): Error => tooSlow(context, ms);
    const bounds = { waiting, timeout: this.options.connectTimeout, closed: this.closed, late };
    try {
      return await withDeadline(bounds, ({ signal }) => connection.session(signal));
    } catch (error) {
      throw toConnectionError(error, context);
    }
  }

  callAny<Method extends UnaryMethod>(
    method: Method,
    request: UnaryRequest<Method>,
    bounds: CallBounds = {},
  ): Promise<UnaryResponse<Method>> {
    return this.#unary.toAny(method, request, bounds);
  }

  callLeader<Method extends UnaryMethod>(
    method: Method,
    stream: string,
    partition: number,
    request: UnaryRequest<Method>,
    bounds: CallBounds = {},
  ): Promise<UnaryResponse<Method>> {
    return this.#unary.toLeader(method, stream, partition, request, bounds);
  }

  callBroker<Method extends UnaryMethod>(
    method: Method,
    brokerId: string,
    request: UnaryRequest<Method>,
    waiting: Waiting = {},
  ): Promise<UnaryResponse<Method>> {
    return this.#unary.toBroker(method, brokerId, request, waiting);
  }

  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void {
    this.#hub.emit(name, ...event);
  }

  on<Name extends keyof ClusterEvents>(name: Name, listener: (...event: ClusterEvents[Name]) => void): () => void {
    return this.#hub.on(name, listener);
  }

  bounded<Result>(
    waiting: Waiting,
    late: (timeout: number) => Error,
    work: (deadline: Deadline) => Promise<Result>,
  ): Promise<Result> {
    return this.#caller.bounded(waiting, late, work);
  }

  /** Ends every call and closes every connection. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('The client is closed. Connect a new one.'));
    clearInterval(this.#alive);
    this.#prober.stop();
    this.#age.stop();
    await this.#pool.close();
    this.#hub.clear();
  }

  async #refreshAged(streams: readonly string[]): Promise<void> {
    try {
      await this.refresh(streams);
    } catch (error) {
      this.logger.debug({ err: error }, 'metadata could not be refreshed, it is tried again');
    }
  }

  /** The network may be lost, and the other connections with it. Without a check, the loss of an idle connection stays unnoticed. */
  #lost(connection: BrokerConnection): void {
    this.#prober.revive(connection);
    for (const other of this.#pool.connections) if (other !== connection) void other.checkLiveness();
  }

  #targetOf(id: string): BrokerTarget | null {
    return this.#pool.route(id) ?? null;
  }
}

function tooSlow(context: ErrorContext & { readonly operation: string }, timeout: number): ConnectionError {
  const what = attempt(context.operation, context);
  return new ConnectionError(`${what} failed: the broker was not reached within ${timeout} ms.`, {
    ...context,
    reason: 'timeout',
    outcome: 'not-sent',
  });
}
