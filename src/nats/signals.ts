import { forEachInSlices } from '../async/cooperative.js';
import type { PendingPublish } from './pending-publish.js';

/**
 * Rejects publishes whose signal aborts, with one listener a signal: thousands of publishes commonly share one, and
 * each listener of its own would cost a walk over all of them when it is taken away, and a warning from Node.
 */
export class Signals {
  readonly #watched = new Map<AbortSignal, { readonly publishes: Set<PendingPublish>; readonly stop: () => void }>();

  /** Starts to watch for it, until `remove`. */
  add(signal: AbortSignal, publish: PendingPublish): void {
    const watched = this.#watched.get(signal) ?? this.#watch(signal);
    watched.publishes.add(publish);
  }

  #watch(signal: AbortSignal): { readonly publishes: Set<PendingPublish>; readonly stop: () => void } {
    const publishes = new Set<PendingPublish>();
    const onAbort = (): void => {
      void forEachInSlices([...publishes], (publish) => publish.reject(signal.reason));
    };
    const watched = { publishes, stop: () => signal.removeEventListener('abort', onAbort) };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#watched.set(signal, watched);
    return watched;
  }

  /** The last publish of a signal takes the listener away. */
  remove(signal: AbortSignal, publish: PendingPublish): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.publishes.delete(publish);
    if (watched.publishes.size > 0) return;
    watched.stop();
    this.#watched.delete(signal);
  }
}
