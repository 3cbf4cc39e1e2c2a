import { deferred, frame, healthWire } from 'liftbridge-client/protocol';
import { decodeRequest } from './decode-request.js';
import type { Method, StreamCall } from './service.js';
import { RpcError } from './status.js';

const { HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse } = healthWire;
const { HealthCheckResponse_ServingStatus: Serving } = healthWire;
type ServingStatus = healthWire.HealthCheckResponse_ServingStatus;

/** Full name of the service that {@link Health} serves. */
export const HEALTH_SERVICE = 'grpc.health.v1.Health';
/** The only service with a health status, besides the whole server. */
export const API_SERVICE = 'proto.API';

/** The standard health service. The whole server (`""`) and `proto.API` both start as serving. */
export class Health {
  readonly #statuses = new Map<string, ServingStatus>([
    ['', Serving.SERVING],
    [API_SERVICE, Serving.SERVING],
  ]);
  readonly #watchers = new Set<(service: string) => void>();

  /** The methods of `grpc.health.v1.Health`. */
  readonly methods: ReadonlyMap<string, Method> = new Map<string, Method>([
    ['Check', { kind: 'unary', handle: (payload) => this.#check(payload) }],
    ['List', { kind: 'unary', handle: (payload) => this.#list(payload) }],
    [
      'Watch',
      {
        kind: 'server-stream',
        check: (payload) => void decodeRequest(HealthCheckRequest, payload),
        handle: (payload, call) => this.#watch(payload, call),
      },
    ],
  ]);

  /** Marks `proto.API` as not serving, like a server that shuts down; the whole server still reports that it serves. */
  shutdown(): void {
    this.setServing(API_SERVICE, false);
  }

  /** Changes the status of a service and notifies its watchers. */
  setServing(service: string, serving: boolean): void {
    this.#statuses.set(service, serving ? Serving.SERVING : Serving.NOT_SERVING);
    for (const watcher of this.#watchers) watcher(service);
  }

  #check(payload: Buffer): Uint8Array {
    const { service } = decodeRequest(HealthCheckRequest, payload);
    const status = this.#statuses.get(service);
    if (status === undefined) throw new RpcError('NOT_FOUND', 'unknown service');
    return HealthCheckResponse.encode({ status }).finish();
  }

  #list(payload: Buffer): Uint8Array {
    decodeRequest(HealthListRequest, payload);
    const statuses = new Map(Array.from(this.#statuses, ([service, status]) => [service, { status }]));
    return HealthListResponse.encode({ statuses }).finish();
  }

  async #watch(payload: Buffer, call: StreamCall): Promise<void> {
    const { service } = decodeRequest(HealthCheckRequest, payload);
    const tell = () => {
      const status = this.#statuses.get(service) ?? Serving.SERVICE_UNKNOWN;
      call.write(frame(HealthCheckResponse.encode({ status }).finish()));
    };
    const watcher = (changed: string) => {
      if (changed === service) tell();
    };
    tell();
    this.#watchers.add(watcher);
    const ended = deferred();
    if (call.signal.aborted) ended.resolve();
    else call.signal.addEventListener('abort', () => ended.resolve(), { once: true });
    await ended.promise;
    this.#watchers.delete(watcher);
  }
}
