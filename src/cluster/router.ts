import { setMaxListeners } from 'node:events';
import {
  ClosedError,
  ConnectionError,
  type ErrorContext,
  errorFromStatus,
  type LiftbridgeError,
  type Operation,
} from '../errors.js';
import type { Logger, ResolvedClientOptions } from '../options.js';
import { APIService } from '../protocol/generated/api.js';
import type { DataSession } from '../transport/duplex.js';
import { Status } from '../transport/status.js';
import type { UnaryMethodDefinition } from '../transport/unary.js';
import type { Address } from './addresses.js';
import type { BrokerConnection } from './broker-connection.js';
import type { BrokerTarget, Cluster, Waiting } from './contract.js';
import { type ClusterEvents, EventHub } from './events.js';
import { aboutRequest, toError } from './failures.js';
import { firstContact } from './first-contact.js';
import { LookupMiss, leaderIn, refusePaused } from './lookup.js';
import type { Metadata } from './metadata.js';
import { MetadataCache } from './metadata-cache.js';
import { type MetadataAnswer, readMetadata } from './metadata-reader.js';
import { Pool } from './pool.js';
import { Prober } from './prober.js';
import { isAmbiguous, isRepeatable, withRetries } from './retry.js';
import { chooseBroker } from './selection.js';
import { inSlices } from './time-slices.js';
import { operationOf, type UnaryMethod, type UnaryRequest, type UnaryResponse } from './unary-calls.js';
import { type Deadline, whileNotAborted, withDeadline } from './waiting.js';

/** Bounds of a call, and a place to note what became of its attempts. */
export interface CallBounds extends Waiting {
  /** `ambiguous` is set when an attempt failed that may have been carried out all the same. */
  readonly trace?: { ambiguous: boolean } | undefined;
}

/** FetchMetadata with its answer left in bytes, to be read in slices. */
const FETCH_METADATA = { ...APIService.fetchMetadata, responseDeserialize: (bytes: Buffer): Buffer => bytes };

/** Share of the whole time that one attempt of a repeatable call has, so that a silent broker leaves time for another. */
const ATTEMPT_SHARE = 1 / 3;
const SHORTEST_ATTEMPT = 500;

interface Call<Request, Response> {
  readonly operation: Operation;
  readonly method: UnaryMethodDefinition<Request, Response>;
  readonly request: Request;
  readonly bounds: CallBounds;
  /** Whom an attempt goes to; throws LookupMiss when nobody is known. */
  target(attempt: number, tried: ReadonlySet<string>, last: unknown): Promise<BrokerConnection>;
}

/** Who serves which call: keeps the view of the cluster and the connections, and tries again where that is safe. */
export class Router implements Cluster {
  readonly options: ResolvedClientOptions;
  readonly #hub = new EventHub();
  readonly #closing = new AbortController();
  readonly #cache: MetadataCache;
  readonly #pool: Pool;
  readonly #prober: Prober;

  constructor(seeds: readonly Address[], options: ResolvedClientOptions) {
    this.options = options;
    const settings = { options, hub: this.#hub, closed: this.#closing.signal };
    setMaxListeners(0, this.#closing.signal); // one a call under way
    this.#cache = new MetadataCache((streams, groups) => this.#fetch(streams, groups), this.#hub);
    this.#pool = new Pool(seeds, settings, (connection) => this.#prober.revive(connection));
    this.#prober = new Prober(this.#pool, settings, (connection, streams) => this.#ask(connection, streams));
  }

  /** Talks to the seeds until one answers, then learns the cluster. Rejects with a ConnectionError that names every seed. */
  async connect(): Promise<void> {
    await firstContact(this.#pool.seeds, this.#prober, this.options, this.#closing.signal, () => this.#cache.refresh());
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

  /** Takes a deleted stream out of the cache. */
  forget(stream: string): void {
    this.#cache.forget(stream);
  }

  anyBroker(except?: ReadonlySet<string>): BrokerTarget {
    return this.#choose(except);
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
    return this.#run({
      operation: operationOf(method),
      method: definitionOf(method),
      request,
      bounds,
      target: async (_attempt, tried) => this.#choose(tried),
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
    return this.#run({
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
    return this.#run(
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
    return withDeadline({ waiting, timeout: this.options.requestTimeout, closed: this.closed, late }, work);
  }

  /** Ends every call and closes every connection. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('The client is closed. Connect a new one.'));
    this.#prober.stop();
    await this.#pool.close();
    this.#hub.clear();
  }

  async #run<Request, Response>(
    call: Call<Request, Response>,
    attempts = this.options.retry.attempts,
  ): Promise<Response> {
    const { operation, bounds } = call;
    const tried = new Set<string>();
    let last: unknown;
    let broker: string | undefined;
    const attempt = async (number: number, deadline: Deadline): Promise<Response> => {
      try {
        const connection = await call.target(number, tried, last);
        broker = connection.id;
        tried.add(connection.address);
        const timeout = attemptTime(operation, deadline, attempts);
        return await connection.call(call.method, call.request, { timeout, signal: deadline.signal });
      } catch (error) {
        last = error;
        if (bounds.trace !== undefined && isAmbiguous(operation, error)) bounds.trace.ambiguous = true;
        throw error;
      }
    };
    try {
      return await this.bounded(
        bounds,
        (timeout) => outOfTime(operation, timeout, last, { ...aboutRequest(call.request), broker }),
        (deadline) => {
          const retry = { ...this.options.retry, attempts };
          return withRetries({ operation, retry, signal: deadline.signal, hub: this.#hub }, (number) =>
            attempt(number, deadline),
          );
        },
      );
    } catch (error) {
      throw error instanceof LookupMiss
        ? error.error
        : toError(operation, error, { ...aboutRequest(call.request), broker });
    }
  }

  async #fetch(streams: readonly string[], groups: readonly string[]): Promise<MetadataAnswer> {
    let asked: BrokerConnection | undefined;
    const bytes = await this.#run({
      operation: 'FetchMetadata',
      method: FETCH_METADATA,
      request: { streams: [...streams], groups: [...groups] },
      bounds: {},
      target: async (_attempt, tried) => {
        asked = this.#choose(tried);
        return asked;
      },
    });
    return this.#learn(bytes, asked!);
  }

  /** One FetchMetadata to one broker, without retries. Rejects with RpcFailure. */
  async #ask(connection: BrokerConnection, streams: readonly string[]): Promise<void> {
    // A server that waits for a dead one would use up whatever time it is given, and answers at once the next time.
    const timeout = Math.min(this.options.requestTimeout, this.options.connectTimeout) * ATTEMPT_SHARE;
    const started = performance.now();
    const bytes = await whileNotAborted(
      connection.call(FETCH_METADATA, { streams: [...streams], groups: [] }, { timeout, signal: this.closed }),
      this.closed,
    );
    connection.measured(performance.now() - started);
    await this.#learn(bytes, connection);
  }

  async #learn(bytes: Buffer, from: BrokerConnection): Promise<MetadataAnswer> {
    const answer = await inSlices(readMetadata(bytes));
    if (answer.answeredBy !== null) await this.#pool.identify(from, answer.answeredBy);
    await this.#pool.update(answer.brokers);
    return answer;
  }

  #choose(except?: ReadonlySet<string>): BrokerConnection {
    const chosen = chooseBroker(this.#pool.candidates(), this.options.serverSelection, except);
    if (chosen === undefined)
      throw new ConnectionError('No broker is known.', { reason: 'no-broker', outcome: 'not-sent' });
    return chosen;
  }

  #targetOf(id: string): BrokerTarget | null {
    return this.#pool.route(id) ?? null;
  }

  #unknownBroker(operation: string, broker: string): ConnectionError {
    const text = `${operation} failed: broker "${broker}" is not in the metadata of the cluster. It may have left.`;
    return new ConnectionError(text, { operation, broker, reason: 'no-broker', outcome: 'not-sent' });
  }
}

function definitionOf<Method extends UnaryMethod>(
  method: Method,
): UnaryMethodDefinition<UnaryRequest<Method>, UnaryResponse<Method>> {
  return APIService[method] as unknown as UnaryMethodDefinition<UnaryRequest<Method>, UnaryResponse<Method>>;
}

function attemptTime(operation: Operation, deadline: Deadline, attempts: number): number {
  const { remaining } = deadline;
  if (attempts === 1 || !isRepeatable(operation)) return remaining;
  return Math.min(remaining, Math.max(SHORTEST_ATTEMPT, deadline.timeout * ATTEMPT_SHARE));
}

/** The error for a call whose time is up: with what the last attempt failed of, if any did. */
function outOfTime(operation: Operation, timeout: number, last: unknown, context: ErrorContext = {}): LiftbridgeError {
  const failure =
    last instanceof LookupMiss ? last.error : last === undefined ? undefined : toError(operation, last, {});
  const why = failure instanceof Error ? `; the last attempt: ${failure.message}` : '';
  const details = `no answer within ${timeout} ms${why}`;
  return errorFromStatus(operation, { code: Status.DEADLINE_EXCEEDED, details }, { ...context, cause: failure });
}

function tooSlow(broker: string, timeout: number): LiftbridgeError {
  return new ConnectionError(`Connect failed: broker ${broker} was not reached within ${timeout} ms.`, {
    operation: 'Connect',
    broker,
    reason: 'timeout',
    outcome: 'not-sent',
  });
}
