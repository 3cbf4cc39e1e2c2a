interface Planned<T> {
  readonly what: T;
  readonly broker: number | null;
  left: number;
}

/** Planned faults of the coming calls, by RPC, in the order of their plans. */
export class FaultQueue<T> {
  readonly #plans = new Map<string, Planned<T>[]>();

  /** Whether nothing is planned. */
  get empty(): boolean {
    return this.#plans.size === 0;
  }

  /** Number of calls that it still strikes. */
  get pending(): number {
    let sum = 0;
    for (const list of this.#plans.values()) for (const planned of list) sum += planned.left;
    return sum;
  }

  /** `broker`: index of the only broker that it strikes, null for any. */
  plan(rpc: string, what: T, broker: number | null, times: number): void {
    const planned = { what, broker, left: times };
    const list = this.#plans.get(rpc);
    if (list) list.push(planned);
    else this.#plans.set(rpc, [planned]);
  }

  /** Returns the fault that strikes this call, null for none; consumes it. */
  take(rpc: string, broker: number): T | null {
    const list = this.#plans.get(rpc);
    const planned = list?.find((candidate) => candidate.broker === null || candidate.broker === broker);
    if (!list || !planned) return null;
    planned.left--;
    if (planned.left === 0) list.splice(list.indexOf(planned), 1);
    if (list.length === 0) this.#plans.delete(rpc);
    return planned.what;
  }

  clear(): void {
    this.#plans.clear();
  }
}
