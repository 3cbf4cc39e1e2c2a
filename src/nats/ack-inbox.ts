import { randomUUID } from 'node:crypto';
import { decodeAck } from '../envelope/ack-envelope.js';
import type { Ack } from '../envelope.js';
import type { LiftbridgeError } from '../errors.js';
import type { Logger } from '../options.js';
import type { NatsConnection, NatsSubscription } from './connection.js';
import { inboxClosed } from './failures.js';
import type { PendingPublish } from './pending-publish.js';

/** Takes the events of an ack inbox. */
export interface InboxListener {
  /** An ack of a publish that waits for it. */
  acknowledged(publish: PendingPublish, ack: Ack): void;
  /** An ack that no publish waits for any more. */
  acknowledgedLate(ack: Ack): void;
  /** The NATS server ended the subscription: these publishes get no ack. */
  ended(publishes: readonly PendingPublish[], error: LiftbridgeError): void;
}

/** The inbox that acks come to: one subscription for all publishes, which are found by their correlation ids. */
export class AckInbox {
  /** The NATS subject of the inbox. */
  readonly subject: string;
  readonly #listener: InboxListener;
  readonly #logger: Logger;
  readonly #subscription: NatsSubscription;
  readonly #awaited = new Map<string, PendingPublish>();
  #error: LiftbridgeError | null = null;

  constructor(connection: NatsConnection, prefix: string, logger: Logger, listener: InboxListener) {
    this.subject = `${prefix}.${randomUUID().replaceAll('-', '')}`;
    this.#listener = listener;
    this.#logger = logger;
    this.#subscription = connection.subscribe(this.subject, {
      callback: (error, message) => (error === null ? this.#receive(message.data) : this.#fail(error)),
    });
  }

  /** Why no ack can arrive any more; null while acks can arrive. */
  get error(): LiftbridgeError | null {
    return this.#error;
  }

  /** Whether a publish with this correlation id waits for its acks. */
  awaits(correlationId: string): boolean {
    return this.#awaited.has(correlationId);
  }

  add(publish: PendingPublish): void {
    this.#awaited.set(publish.correlationId, publish);
  }

  remove(publish: PendingPublish): void {
    this.#awaited.delete(publish.correlationId);
  }

  /** Ends the subscription. */
  close(): void {
    this.#subscription.unsubscribe();
  }

  #receive(data: Uint8Array): void {
    const ack = this.#decode(data);
    if (ack === null) return;
    const publish = this.#awaited.get(ack.correlationId);
    if (publish === undefined) this.#listener.acknowledgedLate(ack);
    else this.#listener.acknowledged(publish, ack);
  }

  #decode(data: Uint8Array): Ack | null {
    try {
      return decodeAck(data);
    } catch (error) {
      this.#logger.warn({ err: error, inbox: this.subject }, 'a message in the ack inbox that is no ack');
      return null;
    }
  }

  #fail(cause: Error): void {
    this.#error = inboxClosed(this.subject, cause);
    this.#listener.ended([...this.#awaited.values()], this.#error);
  }
}
