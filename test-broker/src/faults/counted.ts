/** Things that hold as long as at least one of those who asked for it has not taken it back. */
export class Counted<K> {
  readonly #counts = new Map<K, number>();
  readonly #changed: () => void;

  /** `changed`: called back after every change. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** How many things hold. */
  get size(): number {
    return this.#counts.size;
  }

  has(key: K): boolean {
    return this.#counts.has(key);
  }

  /** Asks for it; the answer takes that back. */
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

  /** Takes everything back, without a word. */
  clear(): void {
    this.#counts.clear();
  }
}
