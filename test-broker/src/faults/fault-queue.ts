interface Planned<T> {
  readonly what: T;
  readonly broker: number | null;
  left: number;
}

/** What is to strike the coming calls, by RPC, in the order it was planned. */
export class FaultQueue<T> {
  readonly #plans = new Map<string, Planned<T>[]>();

  /** Whether nothing is planned. */
  get empty(): boolean {
    return this.#plans.size === 0;
  }

  /** How often it is still to strike. */
  get pending(): number {
    let sum = 0;
    for (const list of this.#plans.values()) for (const planned of list) sum += planned.left;
    return sum;
  }

  /** `broker`: the one broker that is struck, null for whichever comes first. */
  plan(rpc: string, what: T, broker: number | null, times: number): void {
    const planned = { what, broker, left: times };
    const list = this.#plans.get(rpc);
    if (list) list.push(planned);
    else this.#plans.set(rpc, [planned]);
  }

  /** What strikes this call, null when nothing does; counts as used. */
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
