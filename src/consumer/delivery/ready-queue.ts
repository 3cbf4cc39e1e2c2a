import { type Deferred, deferred } from '../../async/deferred.js';
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
  /** Resolved when there may be something to take; null while that is not awaited. */
  #waiting: Deferred | null = null;
  readonly #ended = deferred();
  #over: { readonly error: unknown } | 'clean' | null = null;

  /** Resolves when it is over. */
  readonly ended = this.#ended.promise;

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  /** How it ended; null while it is open. */
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
    this.#waiting ??= deferred();
    return this.#waiting.promise;
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
    this.#ended.resolve();
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = null;
  }
}
