import { randomUUID } from 'node:crypto';
import { forEachInSlices } from '../async/cooperative.js';
import { nextTurn } from '../async/sleep.js';
import { TimeoutQueue } from '../async/timeout-queue.js';
import { decodeAck } from '../envelope/ack-envelope.js';
import { writeMessage } from '../envelope/message-envelope.js';
import type { Ack, Value } from '../envelope.js';
import { messageOf } from '../errors/quote.js';
import {
  ClosedError,
  ConnectionError,
  InvalidArgumentError,
  type LiftbridgeError,
  MessageTooLargeError,
} from '../errors.js';
import { checkValue, type Logger, payload, publishSubject } from '../options.js';
import {
  type ConnectionEvent,
  type NatsConnection,
  type NatsMessage,
  type NatsSubscription,
  watchConnection,
} from './connection.js';
import {
  connectionBroke,
  connectionClosed,
  expired,
  inboxClosed,
  notTaken,
  publishDenied,
  refused,
  tooLarge,
} from './failures.js';
import { Flusher } from './flusher.js';
import { PendingPublish } from './pending-publish.js';
import {
  type NatsPublisherOptions,
  type NatsPublishOptions,
  natsConnection,
  type ResolvedPublisherOptions,
  readPublishOptions,
  resolvePublisherOptions,
} from './publisher-options.js';
import { SendQueue } from './send-queue.js';
import { Signals } from './signals.js';

/** Publishes enveloped messages over a NATS connection and matches the acks that come back; see `natsPublisher`. */
export class NatsPublisher {
  readonly #connection: NatsConnection;
  readonly #timeout: number;
  readonly #logger: Logger;
  readonly #inbox: string;
  readonly #idPrefix = `${randomUUID().slice(0, 8)}-`;
  #lastId = 0;
  readonly #awaited = new Map<string, PendingPublish>();
  readonly #signals = new Signals();
  readonly #deadlines = new TimeoutQueue<PendingPublish>((publish) => this.#expire(publish));
  readonly #window: SendQueue;
  readonly #flusher: Flusher;
  readonly #subscription: NatsSubscription;
  readonly #stopWatching: () => void;
  /** The subject that was accepted last; a comparison costs less than the check. */
  #acceptedSubject = '';
  #inboxError: LiftbridgeError | null = null;
  #closing: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  /** @internal */
  static create(connection: NatsConnection, options: ResolvedPublisherOptions): NatsPublisher {
    return new NatsPublisher(connection, options);
  }

  private constructor(connection: NatsConnection, options: ResolvedPublisherOptions) {
    this.#connection = connection;
    this.#timeout = options.timeout;
    this.#logger = options.logger;
    this.#inbox = `${options.inboxPrefix}.${randomUUID().replaceAll('-', '')}`;
    this.#window = new SendQueue(options.maxInFlight, (publish) => this.#send(publish));
    this.#flusher = new Flusher(connection, {
      taken: (publish) => {
        this.#window.answered(publish);
        publish.resolve();
      },
      failed: (publish, cause) => publish.reject(this.#connectionLost(publish, cause)),
    });
    this.#subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => (error === null ? this.#receive(message) : this.#inboxEnded(error)),
    });
    this.#stopWatching = watchConnection(
      connection,
      (event) => this.#react(event),
      (err) => this.#logger.warn({ err }, 'the NATS connection no longer tells what happens to it'),
    );
  }

  /**
   * Publishes a message to a subject and resolves with its acks in the order of their arrival: one, or as many as
   * `acks` says. Publishes go out in the order of the calls. With `ackPolicy: 'none'`, or with an `ackInbox` of your
   * own, it resolves with no acks once the NATS server has taken the message.
   *
   * Rejects exactly once, with InvalidArgumentError (INVALID_ARGUMENT) or MessageTooLargeError (MESSAGE_TOO_LARGE)
   * before anything is sent; with the error that an ack reports, such as IncorrectOffsetError (INCORRECT_OFFSET); with
   * AckTimeoutError (ACK_TIMEOUT), whose `otherAcks` are those that came; with ConnectionError (CONNECTION), whose
   * `outcome` says whether it was sent; with PermissionDeniedError (PERMISSION_DENIED); with ClosedError (CLOSED); or
   * with the reason of `signal`. It is never sent twice.
   *
   * @example
   * const [ack] = await publisher.publish('orders', '{"id":7}', { key: '7', timeout: 1_000 });
   */
  async publish(subject: string, value: Value, options?: NatsPublishOptions): Promise<Ack[]> {
    if (subject !== this.#acceptedSubject || subject === '') {
      checkValue('publish', 'subject', subject, publishSubject);
      this.#acceptedSubject = subject;
    }
    checkValue('publish', 'value', value, payload);
    const given = readPublishOptions(options);
    if (given.signal?.aborted) throw given.signal.reason;
    this.#checkOpen();
    const publish = this.#prepare(subject, value, given);
    this.#window.add(publish);
    return publish.promise;
  }

  /**
   * Takes no more publishes, waits until those under way have settled - each does within its timeout - and ends the
   * inbox subscription. The connection stays open. May be called again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closing !== null)
      throw new ClosedError('publish failed: the publisher is closed', { operation: 'publish' });
    if (!this.#connection.isClosed()) return;
    throw new ConnectionError('publish failed: the NATS connection is closed', {
      reason: 'lost',
      outcome: 'not-sent',
      retryable: false,
      operation: 'publish',
    });
  }

  #prepare(subject: string, value: Value, options: NatsPublishOptions): PendingPublish {
    const wanted = options.ackPolicy === 'none' || options.ackInbox ? 0 : (options.acks ?? 1);
    if (wanted > 0 && this.#inboxError !== null) throw this.#inboxError;
    const correlationId = options.correlationId || (wanted > 0 ? this.#nextId() : '');
    if (wanted > 0 && this.#awaited.has(correlationId)) throw duplicate(correlationId);
    const data = writeMessage(value, options, wanted > 0 ? { ackInbox: this.#inbox, correlationId } : options);
    this.#checkSize(subject, data);
    const timeout = options.timeout ?? this.#timeout;
    const parts = { subject, data, wanted, correlationId, timeout, signal: options.signal };
    const publish = new PendingPublish(parts, (settled) => this.#settled(settled));
    // First: it runs code of the caller, which may throw.
    if (options.signal) this.#signals.add(options.signal, publish);
    this.#deadlines.add(publish);
    if (wanted > 0) this.#awaited.set(correlationId, publish);
    return publish;
  }

  #checkSize(subject: string, data: Buffer): void {
    const limit = this.#connection.info?.max_payload;
    if (limit !== undefined && data.length > limit) throw tooLarge(subject, data.length, limit);
  }

  #nextId(): string {
    return this.#idPrefix + (++this.#lastId).toString(36);
  }

  #send(publish: PendingPublish): void {
    const { subject, data } = publish;
    if (data === null) return;
    try {
      // Once more: it may have waited for another connection, to a server that takes less.
      this.#checkSize(subject, data);
      this.#connection.publish(subject, data);
    } catch (cause) {
      const final = this.#connection.isClosed() || this.#connection.isDraining?.() === true;
      publish.reject(cause instanceof MessageTooLargeError ? cause : notTaken(publish, cause, final));
      return;
    }
    publish.sent = true;
    publish.data = null;
    if (publish.wanted === 0) this.#flusher.add(publish);
  }

  #receive(message: NatsMessage): void {
    const ack = this.#read(message.data);
    if (ack === null) return;
    const publish = this.#awaited.get(ack.correlationId);
    if (publish === undefined) {
      this.#logger.debug({ ack }, 'an ack that no publish waits for any more');
      this.#window.answeredLate(ack.messageSubject);
      return;
    }
    this.#window.answered(publish);
    // It is about to be rejected, though in its turn: thousands may share one signal.
    if (publish.signal?.aborted) return;
    if (!publish.take(ack)) this.#logger.debug({ ack }, 'a further ack of a stream that has answered already');
    else if (publish.complete && publish.refusal === null) publish.resolve();
    else if (publish.complete) publish.reject(refused(publish));
  }

  #read(data: Uint8Array): Ack | null {
    try {
      return decodeAck(data);
    } catch (error) {
      this.#logger.warn({ err: error, inbox: this.#inbox }, 'a message in the ack inbox that is no ack');
      return null;
    }
  }

  #inboxEnded(cause: Error): void {
    const error = inboxClosed(this.#inbox, cause);
    this.#inboxError = error;
    this.#rejectAll([...this.#awaited.values()], () => error);
  }

  #react(event: ConnectionEvent): void {
    switch (event.kind) {
      case 'publish-denied': {
        const denied = this.#window.sent().filter(({ subject }) => subject === event.subject);
        this.#rejectAll(denied, () => publishDenied(event.subject, event.cause));
        return;
      }
      case 'disconnect':
        // The NATS packages throw away what they are given while they dial: it waits here instead, unsent.
        this.#window.pause();
        void this.#disconnected(this.#window.sent());
        return;
      case 'reconnect':
        this.#window.resume();
        return;
      case 'closed':
        this.#window.pause();
        this.#rejectAll([...this.#window.sent(), ...this.#window.waiting()], (publish) =>
          connectionClosed(publish, event.cause),
        );
        this.#stopWatching();
    }
  }

  async #disconnected(sent: readonly PendingPublish[]): Promise<void> {
    // A connection that is closed at once, because it must not connect again, is known to be so by then.
    await nextTurn();
    this.#rejectAll(sent, (publish) => this.#connectionLost(publish));
  }

  #connectionLost(publish: PendingPublish, cause?: unknown): LiftbridgeError {
    return this.#connection.isClosed() ? connectionClosed(publish, cause) : connectionBroke(publish, cause);
  }

  #rejectAll(publishes: readonly PendingPublish[], errorFor: (publish: PendingPublish) => LiftbridgeError): void {
    void forEachInSlices(publishes, (publish) => {
      if (!publish.settled) publish.reject(errorFor(publish));
    });
  }

  #expire(publish: PendingPublish): void {
    this.#window.expired(publish);
    publish.reject(expired(publish));
  }

  #settled(publish: PendingPublish): void {
    this.#deadlines.remove(publish);
    if (publish.wanted > 0) this.#awaited.delete(publish.correlationId);
    if (publish.signal) this.#signals.remove(publish.signal, publish);
    this.#window.release(publish);
    if (this.#window.size === 0) this.#onDrained?.();
  }

  async #drain(): Promise<void> {
    if (this.#window.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    }
    this.#deadlines.clear();
    this.#stopWatching();
    this.#subscription.unsubscribe();
  }
}

function duplicate(correlationId: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `publish: correlationId ${JSON.stringify(correlationId)} is that of a publish under way; its acks could not be told apart`,
    { operation: 'publish' },
  );
}

/**
 * A publisher of enveloped messages over a connection of the `nats` (2.x) or `@nats-io/transport-node` (3.x) package:
 * keys, headers and acks for services that speak NATS only. One inbox subscription serves all of its publishes.
 *
 * @throws InvalidArgumentError (INVALID_ARGUMENT) when an option is not allowed, naming it.
 * @throws ConnectionError (CONNECTION) when the connection is closed or draining.
 * @example
 * const publisher = natsPublisher(await connect({ servers: 'localhost:4222' }));
 * const [ack] = await publisher.publish('orders', 'hello', { key: 'customer-7' });
 */
export function natsPublisher(connection: NatsConnection, options?: NatsPublisherOptions): NatsPublisher {
  const resolved = resolvePublisherOptions(options);
  checkValue('natsPublisher', 'connection', connection, natsConnection);
  try {
    return NatsPublisher.create(connection, resolved);
  } catch (cause) {
    const text = `the NATS connection does not take a subscription: ${messageOf(cause)}`;
    throw new ConnectionError(`natsPublisher failed: ${text}`, {
      reason: 'lost',
      outcome: 'not-sent',
      operation: 'natsPublisher',
      cause,
    });
  }
}
