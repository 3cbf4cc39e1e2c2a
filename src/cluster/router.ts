import { ClosedError, ConnectionError, type LiftbridgeError } from '../errors.js';
import type { Logger, ResolvedClientOptions } from '../options.js';
import type { DataSession } from '../transport/duplex.js';
import type { Address } from './addresses.js';
import { type CallBounds, Caller, outOfTime } from './caller.js';
import type { BrokerTarget, Cluster, Sought, Waiting } from './contract.js';
import { type ClusterEvents, EventHub } from './events.js';
import { type Existence, ExistenceCheck } from './existence.js';
import { firstContact } from './first-contact.js';
import { LookupMiss, leaderIn, refusePaused } from './lookup.js';
import type { Metadata } from './metadata.js';
import { type Belief, MetadataCache } from './metadata-cache.js';
import { MetadataCalls } from './metadata-calls.js';
import type { MetadataAnswer } from './metadata-reader.js';
import { Pool } from './pool.js';
import { Prober } from './prober.js';
import { Sightings, type Testimony } from './sightings.js';
import { definitionOf, operationOf, type UnaryMethod, type UnaryRequest, type UnaryResponse } from './unary-calls.js';
import { type Deadline, withDeadline } from './waiting.js';

/** Who serves which call: keeps the view of the cluster and the connections, and tries again where that is safe. */
export class Router implements Cluster {
  readonly options: ResolvedClientOptions;
  readonly #hub = new EventHub();
  readonly #closing = new AbortController();
  readonly #caller: Caller;
  readonly #calls: MetadataCalls;
  readonly #cache: MetadataCache;
  readonly #pool: Pool;
  readonly #prober: Prober;
  readonly #sightings = new Sightings();
  readonly #existence: ExistenceCheck;

  constructor(seeds: readonly Address[], options: ResolvedClientOptions) {
    this.options = options;
    const settings = { options, hub: this.#hub, closed: this.#closing.signal };
    this.#caller = new Caller(settings);
    this.#pool = new Pool(seeds, settings, (connection) => this.#prober.revive(connection));
    this.#calls = new MetadataCalls(settings, this.#caller, this.#pool, this.#sightings);
    this.#cache = new MetadataCache((streams, groups) => this.#calls.fetch(streams, groups), this.#belief, this.#hub);
    this.#existence = new ExistenceCheck({
      sightings: this.#sightings,
      patience: options.resubscribeTimeout,
      closed: this.closed,
      poll: (streams, groups, heard, signal) => this.#poll(streams, groups, heard, signal),
      createdAt: (stream) => this.createdAt(stream),
      forget: (sought) => this.#forget(sought),
      testimony: (brokerId) => this.#testimony(brokerId),
    });
    this.#prober = new Prober(this.#pool, settings, (connection, streams) => this.#calls.ask(connection, streams));
  }

  /** Talks to the seeds until one answers, then learns the cluster. Rejects with a ConnectionError that names every seed. */
  async connect(): Promise<void> {
    await firstContact(this.#pool.seeds, this.#prober, this.options, this.#closing.signal, (seed) => {
      this.#calls.beginWith(seed);
      return this.#cache.refresh();
    });
    this.#prober.start();
  }

  get logger(): Logger {
    return this.options.logger;
  }

  /** The cached view. */
  get metadata(): Metadata {
    return this.#cache.snapshot;
  }

  get version(): number {
    return this.#cache.version;
  }

  /** Aborted, with the ClosedError to reject with, when the client closes. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  partitionCount(stream: string): number {
    return this.metadata.streams.get(stream)?.partitions.size ?? 0;
  }

  createdAt(stream: string): number | null {
    return this.metadata.streams.get(stream)?.createdAt.getTime() ?? null;
  }

  leader(stream: string, partition: number): BrokerTarget | null {
    const leader = this.metadata.streams.get(stream)?.partitions.get(partition)?.leader;
    return leader === null || leader === undefined ? null : this.#targetOf(leader.id);
  }

  isr(stream: string, partition: number): readonly BrokerTarget[] {
    const isr = this.metadata.streams.get(stream)?.partitions.get(partition)?.isr ?? [];
    return isr.map(({ id }) => this.#targetOf(id)).filter((target) => target !== null);
  }

  streamsOnSubject(subject: string): readonly string[] {
    return this.#cache.streamsOnSubject(subject);
  }

  async refresh(streams?: readonly string[], waiting: Waiting = {}): Promise<void> {
    await this.fetch(streams ?? [], [], waiting);
  }

  /** Fetches metadata, merges it into the cache and answers it alone; no streams means all of them. */
  fetch(streams: readonly string[], groups: readonly string[], waiting: Waiting = {}): Promise<MetadataAnswer> {
    return this.bounded(
      waiting,
      (timeout) => outOfTime('FetchMetadata', timeout, undefined),
      () => this.#cache.refresh(streams.length === 0 ? undefined : streams, groups),
    );
  }

  existence(sought: Sought, waiting: Waiting = {}): Promise<Existence> {
    return this.#existence.decide(sought, waiting);
  }

  hasSeen(sought: Sought): boolean {
    return this.#sightings.hasSeen(sought);
  }

  /** Takes note of a stream that was created just now: not every broker need know it yet. */
  created(stream: string): void {
    this.#sightings.noteCreated(stream);
  }

  /** Takes a deleted stream out of the cache. */
  forget(stream: string): void {
    this.#forget({ stream });
  }

  anyBroker(except?: ReadonlySet<string>): BrokerTarget {
    return this.#pool.choose(except);
  }

  session(target: BrokerTarget, waiting: Waiting = {}): Promise<DataSession> {
    const connection = this.#pool.find(target);
    if (connection === undefined) return Promise.reject(this.#unknownBroker('Connect', target.id));
    return withDeadline(
      { waiting, timeout: this.options.connectTimeout, closed: this.closed, late: (ms) => tooSlow(target.id, ms) },
      ({ signal }) => connection.session(signal),
    );
  }

  callAny<Method extends UnaryMethod>(
    method: Method,
    request: UnaryRequest<Method>,
    bounds: CallBounds = {},
  ): Promise<UnaryResponse<Method>> {
    return this.#caller.run({
      operation: operationOf(method),
      method: definitionOf(method),
      request,
      bounds,
      target: async (_attempt, tried) => this.#pool.choose(tried),
    });
  }

  callLeader<Method extends UnaryMethod>(
    method: Method,
    stream: string,
    partition: number,
    request: UnaryRequest<Method>,
    bounds: CallBounds = {},
  ): Promise<UnaryResponse<Method>> {
    const operation = operationOf(method);
    return this.#caller.run({
      operation,
      method: definitionOf(method),
      request,
      bounds,
      target: async (attempt, tried, last) => {
        if (attempt > 1 || this.leader(stream, partition) === null) await this.#cache.refresh([stream]);
        const { id } = leaderIn(this.metadata, operation, stream, partition);
        const connection = this.#pool.route(id);
        if (connection === undefined) throw new LookupMiss(this.#unknownBroker(operation, id));
        if (tried.has(connection.address)) refusePaused(this.metadata, operation, stream, partition, last);
        return connection;
      },
    });
  }

  callBroker<Method extends UnaryMethod>(
    method: Method,
    brokerId: string,
    request: UnaryRequest<Method>,
    waiting: Waiting = {},
  ): Promise<UnaryResponse<Method>> {
    const operation = operationOf(method);
    return this.#caller.run(
      {
        operation,
        method: definitionOf(method),
        request,
        bounds: waiting,
        target: async () => {
          const connection = this.#pool.route(brokerId);
          if (connection === undefined) throw new LookupMiss(this.#unknownBroker(operation, brokerId));
          return connection;
        },
      },
      1,
    );
  }

  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void {
    this.#hub.emit(name, ...event);
  }

  on<Name extends keyof ClusterEvents>(name: Name, listener: (...event: ClusterEvents[Name]) => void): () => void {
    return this.#hub.on(name, listener);
  }

  /** Runs any work within the caller's bounds, `requestTimeout` by default; `late` makes the error for a lack of time. */
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
    this.#prober.stop();
    await this.#pool.close();
    this.#hub.clear();
  }

  readonly #belief: Belief = {
    isGone: ({ name: stream, createdAt }, { from }) => {
      const sought = { stream };
      const isGone = from !== null && this.#sightings.isCertain(sought, createdAt.getTime(), from);
      if (isGone) this.#sightings.forget(sought);
      return isGone;
    },
    isSettled: ({ from }) => from !== null && this.#sightings.isSettled(from),
  };

  #forget(sought: Sought): void {
    this.#sightings.forget(sought);
    if ('stream' in sought) this.#cache.forget(sought.stream);
  }

  #testimony(brokerId: string): Testimony | null {
    const witness = this.#pool.route(brokerId);
    return witness === undefined ? null : { witness, since: witness.connectedSince };
  }

  #poll(
    streams: readonly string[],
    groups: readonly string[],
    heard: (answer: MetadataAnswer) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const absorb = this.#cache.absorbing();
    const each = (answer: MetadataAnswer): void => {
      absorb(answer);
      heard(answer);
    };
    return this.#calls.poll(streams, groups, each, signal);
  }

  #targetOf(id: string): BrokerTarget | null {
    return this.#pool.route(id) ?? null;
  }

  #unknownBroker(operation: string, broker: string): ConnectionError {
    const text = `${operation} failed: broker "${broker}" is not in the metadata of the cluster. It may have left.`;
    return new ConnectionError(text, { operation, broker, reason: 'no-broker', outcome: 'not-sent' });
  }
}

function tooSlow(broker: string, timeout: number): LiftbridgeError {
  return new ConnectionError(`Connect failed: broker ${broker} was not reached within ${timeout} ms.`, {
    operation: 'Connect',
    broker,
    reason: 'timeout',
    outcome: 'not-sent',
  });
}
