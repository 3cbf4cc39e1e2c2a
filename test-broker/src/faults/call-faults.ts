import type { RpcError } from '../grpc/status.js';
import { FaultQueue } from './fault-queue.js';

/** Planned faults of calls: rejections, resets and cut responses. */
export class CallFaults {
  readonly #rejections = new FaultQueue<RpcError>();
  readonly #resets = new FaultQueue<number>();
  readonly #cuts = new FaultQueue<true>();
  #armed = false;

  /** Whether any fault is planned: while false, calls do no lookup. */
  get armed(): boolean {
    return this.#armed;
  }

  /** The number of calls that planned faults still strike. */
  get pending(): number {
    return this.#rejections.pending + this.#resets.pending + this.#cuts.pending;
  }

  /** `broker`: index of the broker; null for any. */
  reject(rpc: string, error: RpcError, broker: number | null, times: number): void {
    this.#rejections.plan(rpc, error, broker, times);
    this.#rearm();
  }

  /** `code`: number of the HTTP/2 error. */
  reset(rpc: string, code: number, broker: number | null, times: number): void {
    this.#resets.plan(rpc, code, broker, times);
    this.#rearm();
  }

  cut(rpc: string, broker: number | null): void {
    this.#cuts.plan(rpc, true, broker, 1);
    this.#rearm();
  }

  /** Returns the error that this call fails with, null for none; consumes one planned rejection. */
  takeRejection(broker: number, rpc: string): RpcError | null {
    return this.#take(this.#rejections, broker, rpc);
  }

  /** Returns the HTTP/2 error that this call is reset with, null for none; consumes one planned reset. */
  takeReset(broker: number, rpc: string): number | null {
    return this.#take(this.#resets, broker, rpc);
  }

  /** Returns whether this response is cut in the middle of a message; consumes one planned cut. */
  takeCut(broker: number, rpc: string): boolean {
    return this.#take(this.#cuts, broker, rpc) ?? false;
  }

  clear(): void {
    for (const queue of [this.#rejections, this.#resets, this.#cuts]) queue.clear();
    this.#armed = false;
  }

  #take<T>(queue: FaultQueue<T>, broker: number, rpc: string): T | null {
    const fault = queue.take(rpc, broker);
    this.#rearm();
    return fault;
  }

  #rearm(): void {
    this.#armed = !(this.#rejections.empty && this.#resets.empty && this.#cuts.empty);
  }
}
