import { attempt, ConnectionError, type ErrorContext } from '../errors.js';
import type { AdminCluster, CallBounds, Waiting } from './cluster-api.js';
import type { ClusterView } from './cluster-view.js';
import { LookupMiss, leaderIn, refusePaused } from './leader-lookup.js';
import type { Pool } from './pool.js';
import type { UnaryCaller } from './unary-caller.js';
import { definitionOf, operationOf, type UnaryMethod, type UnaryRequest, type UnaryResponse } from './unary-calls.js';
import { waitUntilDecided, whenUnknown } from './unknown-stream.js';

/** Finds the broker for each attempt of a unary call: any one, the leader of a partition, or the one with an id. */
export class UnaryRouter {
  readonly #cluster: AdminCluster;
  readonly #caller: UnaryCaller;
  readonly #pool: Pool;
  readonly #view: ClusterView;

  constructor(cluster: AdminCluster, caller: UnaryCaller, pool: Pool, view: ClusterView) {
    this.#cluster = cluster;
    this.#caller = caller;
    this.#pool = pool;
    this.#view = view;
  }

  toAny<Method extends UnaryMethod>(
    method: Method,
    request: UnaryRequest<Method>,
    bounds: CallBounds,
  ): Promise<UnaryResponse<Method>> {
    const operation = operationOf(method);
    return this.#caller.run({
      operation,
      method: definitionOf(method),
      request,
      bounds,
      target: async (_attempt, tried) => this.#pool.choose(tried),
      ...(bounds.about === undefined ? {} : { unknown: whenUnknown(this.#cluster, operation, bounds.about, request) }),
    });
  }

  toLeader<Method extends UnaryMethod>(
    method: Method,
    stream: string,
    partition: number,
    request: UnaryRequest<Method>,
    bounds: CallBounds,
  ): Promise<UnaryResponse<Method>> {
    const cluster = this.#cluster;
    const operation = operationOf(method);
    let admitted: number | null | undefined;
    return this.#caller.run({
      operation,
      method: definitionOf(method),
      request,
      bounds,
      unknown: whenUnknown(cluster, operation, stream, request),
      connection: () => admitted ?? undefined,
      target: async (number, tried, last, deadline) => {
        if (number > 1 || cluster.leader(stream, partition) === null) await this.#view.refresh([stream]);
        if (cluster.partitionCount(stream) === 0) await waitUntilDecided(cluster, operation, stream, deadline);
        for (;;) {
          const { id } = leaderIn(cluster.metadata, operation, stream, partition);
          const connection = this.#pool.route(id);
          if (connection === undefined) throw new LookupMiss(unknownBroker(operation, id));
          if (tried.has(connection.address)) refusePaused(cluster.metadata, operation, stream, partition, last);
          admitted = await bounds.admit?.(connection, deadline);
          if (admitted !== null) return connection;
        }
      },
    });
  }

  /** Makes one attempt. */
  toBroker<Method extends UnaryMethod>(
    method: Method,
    brokerId: string,
    request: UnaryRequest<Method>,
    waiting: Waiting,
  ): Promise<UnaryResponse<Method>> {
    const operation = operationOf(method);
    const target = async () => {
      const connection = this.#pool.route(brokerId);
      if (connection === undefined) throw new LookupMiss(unknownBroker(operation, brokerId));
      return connection;
    };
    return this.#caller.run({ operation, method: definitionOf(method), request, bounds: waiting, target }, 1);
  }
}

/** The error for a broker that the metadata does not name. */
export function unknownBroker(operation: string, broker: string, about: ErrorContext = {}): ConnectionError {
  const what = attempt(operation, about);
  const text = `${what} failed: broker "${broker}" is not in the metadata of the cluster. It may have left.`;
  return new ConnectionError(text, { ...about, operation, broker, reason: 'no-broker', outcome: 'not-sent' });
}
