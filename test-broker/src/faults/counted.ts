/** Conditions that hold while at least one requester has not ended them. */
export class Counted<K> {
  readonly #counts = new Map<K, number>();
  readonly #changed: () => void;

  /** `changed`: called back after every change. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Number of conditions that hold. */
  get size(): number {
    return this.#counts.size;
  }

  has(key: K): boolean {
    return this.#counts.has(key);
  }

  /** Requests a condition; the returned function ends that request. */
  add(key: K): () => void {
    const counts = this.#counts;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    this.#changed();
    let over = false;
    return () => {
      if (over) return;
      over = true;
      const left = (counts.get(key) ?? 0) - 1;
      if (left > 0) counts.set(key, left);
      else counts.delete(key);
      this.#changed();
    };
  }

  /** Ends all conditions without a call of `changed`. */
  clear(): void {
    this.#counts.clear();
  }
}
