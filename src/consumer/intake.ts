import type { HeldPartition } from './held-partition.js';

/** Which partitions have something to process, in turn: so that none of them is starved by a busy one. */
export class Intake {
  readonly #ready = new Set<HeldPartition>();
  #waiting: (() => void)[] = [];
  #over: { readonly error: unknown } | 'clean' | null = null;

  /** Null while it goes on; how it ended. */
  get over(): { readonly error: unknown } | 'clean' | null {
    return this.#over;
  }

  /** Puts a partition at the end of the queue if it has a message to process. */
  offer(held: HeldPartition): void {
    if (this.#over !== null || !held.isReady) return;
    this.#ready.add(held);
    this.#wake();
  }

  /** Takes the first partition out that has a message; null when there is none, or it is over. */
  take(): HeldPartition | null {
    if (this.#over !== null) return null;
    for (const held of this.#ready) {
      this.#ready.delete(held);
      if (held.isReady) return held;
    }
    return null;
  }

  /** Resolves when there may be something to take, or it is over. */
  wait(): Promise<void> {
    if (this.#over !== null || this.#ready.size > 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends it; nothing more can be taken. */
  end(over: { readonly error: unknown } | 'clean'): void {
    if (this.#over !== null) return;
    this.#over = over;
    this.#ready.clear();
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
