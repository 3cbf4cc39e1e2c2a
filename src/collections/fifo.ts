/** Removed entries stay in the array until they are this many and half of it. */
const COMPACT_AT = 1024;

/** A queue, first in, first out. Taking the first entry costs no copy: a head index moves, and the array is compacted from time to time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get empty(): boolean {
    return this.#head === this.#items.length;
  }

  /** The first entry, which stays in; undefined when the queue is empty. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Removes and returns the first entry; undefined when the queue is empty. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    // A queue that is never empty must not hold what was taken.
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) this.#replace([]);
    else if (this.#head > COMPACT_AT && this.#head * 2 > this.#items.length) this.#replace(this.toArray());
    return item;
  }

  /** Adds these, in their order, before all others. */
  unshift(items: readonly T[]): void {
    this.#replace([...items, ...this.toArray()]);
  }

  /** Keeps only the entries that pass the test. */
  retain(test: (item: T) => boolean): void {
    this.#replace(this.toArray().filter(test));
  }

  /** The entries in order. */
  toArray(): T[] {
    return this.#items.slice(this.#head) as T[];
  }

  /** Removes all entries and returns them in order. */
  clear(): T[] {
    const items = this.toArray();
    this.#replace([]);
    return items;
  }

  #replace(items: T[]): void {
    this.#items = items;
    this.#head = 0;
  }
}
