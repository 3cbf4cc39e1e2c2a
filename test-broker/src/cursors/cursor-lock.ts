import { deferred } from '../deferred.js';

/** Lets one thing happen at a time, in the order in which they come. */
export class CursorLock {
  #last: Promise<void> = Promise.resolve();
  #held = 0;

  /** Runs `work` once all that came before has ended. */
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

  /** Resolves once all that has come by now has ended. */
  async free(): Promise<void> {
    if (this.#held > 0) await this.#last;
  }
}
