import { nextTurn } from '../async/timers.js';
import type { NatsConnection } from './connection.js';
import type { PendingPublish } from './pending-publish.js';

/** Settles publishes that want no ack once the NATS server has taken them: one flush for all of a tick. */
export class Flusher {
  readonly #connection: NatsConnection;
  readonly #onFailed: (publish: PendingPublish, cause: unknown) => void;
  #batch: PendingPublish[] = [];

  constructor(connection: NatsConnection, onFailed: (publish: PendingPublish, cause: unknown) => void) {
    this.#connection = connection;
    this.#onFailed = onFailed;
  }

  /** To be called with what was just given to the connection. */
  add(publish: PendingPublish): void {
    this.#batch.push(publish);
    if (this.#batch.length === 1) queueMicrotask(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    try {
      await this.#connection.flush();
      // A refusal by the server arrives before the answer to the flush, but is reported over more promises than it.
      await nextTurn();
      for (const publish of batch) publish.resolve();
    } catch (cause) {
      for (const publish of batch) this.#onFailed(publish, cause);
    }
  }
}
