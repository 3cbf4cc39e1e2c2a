interface Listener<T> {
  readonly call: (event: T) => void;
  /** How many events had been told when it came. */
  readonly since: number;
}

/** Functions that are told of something, in the order in which they came. */
export class Listeners<T> {
  /** Made when the first listener comes: most logs never have one. */
  #listeners: Set<Listener<T>> | null = null;
  #told = 0;

  /** How many are listening. */
  get size(): number {
    return this.#listeners?.size ?? 0;
  }

  /** Adds a listener, which must not throw; the answer takes it away again. */
  add(call: (event: T) => void): () => void {
    const listener: Listener<T> = { call, since: this.#told };
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => {
      this.#listeners?.delete(listener);
    };
  }

  /** Tells all who are listening now; who comes meanwhile is not told. */
  tell(event: T): void {
    const number = ++this.#told;
    if (this.#listeners === null) return;
    for (const listener of this.#listeners) {
      if (listener.since < number) listener.call(event);
    }
  }
}
