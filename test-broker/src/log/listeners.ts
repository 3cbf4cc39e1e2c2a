interface Listener<T> {
  readonly call: (event: T) => void;
  /** Number of events before it was added. */
  readonly since: number;
}

/** Listeners of an event, called in the order of their addition. */
export class Listeners<T> {
  /** Created for the first listener: most logs never have one. */
  #listeners: Set<Listener<T>> | null = null;
  #told = 0;

  /** Number of listeners. */
  get size(): number {
    return this.#listeners?.size ?? 0;
  }

  /** Adds a listener, which must not throw; the returned function removes it. */
  add(call: (event: T) => void): () => void {
    const listener: Listener<T> = { call, since: this.#told };
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => {
      this.#listeners?.delete(listener);
    };
  }

  /** Calls all current listeners, but none that is added meanwhile. */
  tell(event: T): void {
    const number = ++this.#told;
    if (this.#listeners === null) return;
    for (const listener of this.#listeners) {
      if (listener.since < number) listener.call(event);
    }
  }
}
