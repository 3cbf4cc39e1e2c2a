import type { Cluster, Waiting } from '../../../src/cluster/cluster-api.js';

/** A call that a consumer made: the RPC, whom it went to ('any' or a broker id), and what was sent. */
export interface FakeCall {
  readonly method: string;
  readonly to: string;
  readonly request: Record<string, unknown>;
}

/** Answers a call, or throws. */
export type Answer = (call: FakeCall, waiting: Waiting) => unknown;

/** As much of a cluster as membership and heartbeat need: every call is noted and answered by the test. */
export class FakeCluster {
  readonly calls: FakeCall[] = [];
  readonly events: [name: string, ...unknown[]][] = [];
  readonly logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  answer: Answer;

  constructor(answer: Answer) {
    this.answer = answer;
  }

  get asCluster(): Cluster {
    return this as unknown as Cluster;
  }

  get methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  callAny(method: string, request: Record<string, unknown>, waiting: Waiting = {}): Promise<unknown> {
    return this.#call({ method, to: 'any', request }, waiting);
  }

  callBroker(method: string, to: string, request: Record<string, unknown>, waiting: Waiting = {}): Promise<unknown> {
    return this.#call({ method, to, request }, waiting);
  }

  callLeader(
    method: string,
    _stream: string,
    _partition: number,
    request: Record<string, unknown>,
    waiting: Waiting = {},
  ): Promise<unknown> {
    return this.#call({ method, to: 'leader', request }, waiting);
  }

  emit(name: string, ...event: unknown[]): void {
    this.events.push([name, ...event]);
  }

  async #call(call: FakeCall, waiting: Waiting): Promise<unknown> {
    this.calls.push(call);
    return await this.answer(call, waiting);
  }
}
