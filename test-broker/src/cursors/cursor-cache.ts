/** The most recently used cursors: offset by key. A missing cursor is cached too, as -1. */
export class CursorCache {
  readonly #capacity: number;
  readonly #offsets = new Map<string, bigint>();

  /** `capacity`: greatest number of cached cursors. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#offsets.size;
  }

  get(key: string): bigint | undefined {
    const offset = this.#offsets.get(key);
    if (offset !== undefined) this.set(key, offset);
    return offset;
  }

  set(key: string, offset: bigint): void {
    this.#offsets.delete(key);
    this.#offsets.set(key, offset);
    if (this.#offsets.size <= this.#capacity) return;
    for (const oldest of this.#offsets.keys()) {
      this.#offsets.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#offsets.clear();
  }
}
