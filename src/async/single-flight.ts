/**
 * Runs the same work once for everybody who asks for it at the same time: a caller that comes while it runs gets its
 * promise. The next caller after it has settled starts it again.
 */
export class SingleFlight<Key, Result> {
  readonly #running = new Map<Key, Promise<Result>>();

  /** The promise of the running work under this key; starts `work` when none is running. */
  run(key: Key, work: () => Promise<Result>): Promise<Result> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const started = work().finally(() => this.#running.delete(key));
    started.catch(() => undefined); // callers are told; a caller that has gone must not leave an unhandled rejection
    this.#running.set(key, started);
    return started;
  }
}
