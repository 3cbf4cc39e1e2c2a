import { forEachInSlices } from '../async/cooperative.js';
import { nextTurn } from '../async/sleep.js';
import { queueMicrotask } from '../async/timers.js';
import type { NatsConnection } from './connection.js';
import type { PendingPublish } from './pending-publish.js';

/** Takes the results of the flusher. */
export interface FlushEvents {
  /** The NATS server has received the publish. */
  confirmed(publish: PendingPublish): void;
  failed(publish: PendingPublish, cause: unknown): void;
}

/** Confirms publishes that want no ack once the NATS server has received them: one flush for all publishes of a tick. */
export class Flusher {
  readonly #connection: NatsConnection;
  readonly #events: FlushEvents;
  #batch: PendingPublish[] = [];

  constructor(connection: NatsConnection, events: FlushEvents) {
    this.#connection = connection;
    this.#events = events;
  }

  /** Adds a publish that was written to the connection. */
  add(publish: PendingPublish): void {
    this.#batch.push(publish);
    if (this.#batch.length === 1) queueMicrotask(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    try {
      await this.#connection.flush();
    } catch (cause) {
      await forEachInSlices(batch, (publish) => this.#events.failed(publish, cause));
      return;
    }
    // A refusal by the server arrives before the response to the flush, but is reported through more promises.
    await nextTurn();
    await forEachInSlices(batch, (publish) => this.#events.confirmed(publish));
  }
}
