import { deferred } from 'liftbridge-client/protocol';

/** Runs one task at a time, in the order of the calls. */
export class CursorLock {
  #last: Promise<void> = Promise.resolve();
  #held = 0;

  /** Runs `work` once all earlier tasks have ended. */
  async run(work: () => Promise<void>): Promise<void> {
    const before = this.#last;
    const { promise, resolve: release } = deferred();
    this.#last = promise;
    this.#held++;
    try {
      await before;
      await work();
    } finally {
      this.#held--;
      release();
    }
  }

  /** Resolves once all current tasks have ended. */
  async free(): Promise<void> {
    if (this.#held > 0) await this.#last;
  }
}
