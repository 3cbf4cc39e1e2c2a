import { onAbort } from './shared-abort-listener.js';

interface Group<T> {
  readonly entries: Set<T>;
  readonly release: () => void;
}

/** Entries by the signal that ends them. All that share a signal share one listener, and its abort is one call. */
export class SignalGroups<T> {
  readonly #groups = new Map<AbortSignal, Group<T>>();
  readonly #aborted: (entries: readonly T[], reason: unknown) => void;

  /** `aborted` is called with all entries of a signal that aborts. */
  constructor(aborted: (entries: readonly T[], reason: unknown) => void) {
    this.#aborted = aborted;
  }

  add(signal: AbortSignal, entry: T): void {
    const group = this.#groups.get(signal) ?? this.#open(signal);
    group.entries.add(entry);
  }

  /** Removes an entry from its signal. Does nothing once the signal has aborted. */
  delete(signal: AbortSignal, entry: T): void {
    const group = this.#groups.get(signal);
    if (group === undefined || !group.entries.delete(entry) || group.entries.size > 0) return;
    group.release();
    this.#groups.delete(signal);
  }

  #open(signal: AbortSignal): Group<T> {
    const entries = new Set<T>();
    const release = onAbort(signal, () => {
      this.#groups.delete(signal);
      this.#aborted([...entries], signal.reason);
    });
    const group = { entries, release };
    this.#groups.set(signal, group);
    return group;
  }
}
