import type { HeldPartition } from '../partitions/held-partition.js';

/** Whether the member still is one, as far as that can be known without asking. */
export interface Lease {
  readonly isCurrent: boolean;
  /** Asks; `resume` of the queue is called when the answer is yes. */
  renew(): void;
}

/**
 * Which partitions have something to process, in turn: so that none of them is starved by a busy one. While the member
 * may have been expired, nothing can be taken: another member may be processing the same messages.
 */
export class ReadyQueue {
  readonly #lease: Lease;
  readonly #ready = new Set<HeldPartition>();
  #waiting: (() => void)[] = [];
  #end!: () => void;
  #over: { readonly error: unknown } | 'clean' | null = null;

  /** Resolves when it is over. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(lease: Lease) {
    this.#lease = lease;
  }

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

  /** Whether messages may be handed out; asks for it where that is not certain. */
  get isOpen(): boolean {
    if (this.#over !== null) return false;
    if (this.#lease.isCurrent) return true;
    this.#lease.renew();
    return false;
  }

  /** Takes the first partition out that has a message; null when there is none, or it is not open. */
  take(): HeldPartition | null {
    if (!this.isOpen) return null;
    for (const held of this.#ready) {
      this.#ready.delete(held);
      if (held.isReady) return held;
    }
    return null;
  }

  /** Resolves when there may be something to take, or it is over. */
  wait(): Promise<void> {
    if (this.#over !== null || (this.#ready.size > 0 && this.#lease.isCurrent)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The member is one still: what is ready can be taken again. */
  resume(): void {
    if (this.#ready.size > 0) this.#wake();
  }

  /** Ends it; nothing more can be taken. */
  end(over: { readonly error: unknown } | 'clean'): void {
    if (this.#over !== null) return;
    this.#over = over;
    this.#ready.clear();
    this.#wake();
    this.#end();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
