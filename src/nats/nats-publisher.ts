import { randomUUID } from 'node:crypto';
import { forEachInSlices } from '../async/cooperative.js';
import { type Deferred, deferred } from '../async/deferred.js';
import { SignalGroups } from '../async/signal-groups.js';
import { nextTurn } from '../async/sleep.js';
import { TimeoutQueue } from '../async/timeout-queue.js';
import { writeMessage } from '../envelope/message-envelope.js';
import type { Ack, Value } from '../envelope.js';
import { rejectedAtCaller } from '../errors/call-site.js';
import { messageOf } from '../errors/quote.js';
import {
  ClosedError,
  ConnectionError,
  InvalidArgumentError,
  type LiftbridgeError,
  MessageTooLargeError,
} from '../errors.js';
import { checkValue, type Logger, payload, publishSubject } from '../options.js';
import { AckInbox } from './ack-inbox.js';
import { type ConnectionEvent, type NatsConnection, watchConnection } from './connection.js';
import {
  connectionBroke,
  connectionClosed,
  publishDenied,
  refusalError,
  sendError,
  timeoutError,
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

/** Publishes enveloped messages over a NATS connection and matches the acks that come back; see `natsPublisher`. */
export class NatsPublisher {
  readonly #connection: NatsConnection;
  readonly #timeout: number;
  readonly #logger: Logger;
  readonly #idPrefix = `${randomUUID().slice(0, 8)}-`;
  #lastId = 0;
  readonly #signals = new SignalGroups<PendingPublish>((publishes, reason) => {
    void forEachInSlices(publishes, (publish) => publish.reject(reason));
  });
  readonly #deadlines = new TimeoutQueue<PendingPublish>((publish) => this.#expire(publish));
  readonly #sendQueue: SendQueue;
  readonly #flusher: Flusher;
  readonly #inbox: AckInbox;
  readonly #stopWatching: () => void;
  /** The subject that was accepted last; a comparison costs less than the check. */
  #acceptedSubject = '';
  #closing: Promise<void> | null = null;
  #drained: Deferred<void> | null = null;

  /** @internal */
  static create(connection: NatsConnection, options: ResolvedPublisherOptions): NatsPublisher {
    return new NatsPublisher(connection, options);
  }

  private constructor(connection: NatsConnection, options: ResolvedPublisherOptions) {
    this.#connection = connection;
    this.#timeout = options.timeout;
    this.#logger = options.logger;
    this.#sendQueue = new SendQueue(options.maxInFlight, (publish) => this.#send(publish));
    this.#flusher = new Flusher(connection, {
      confirmed: (publish) => {
        this.#sendQueue.recordResponse(publish);
        publish.resolve();
      },
      failed: (publish, cause) => publish.reject(this.#connectionLost(publish, cause)),
    });
    this.#inbox = new AckInbox(connection, options.inboxPrefix, options.logger, {
      acknowledged: (publish, ack) => this.#acknowledged(publish, ack),
      acknowledgedLate: (ack) => this.#acknowledgedLate(ack),
      ended: (publishes, error) => this.#rejectAll(publishes, () => error),
    });
    this.#stopWatching = watchConnection(
      connection,
      (event) => this.#connectionEvent(event),
      (err) => this.#logger.warn({ err }, 'the NATS connection no longer reports its status'),
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
    this.#sendQueue.add(publish);
    return publish.promise.catch(rejectedAtCaller);
  }

  /**
   * Refuses further publishes, waits until those in flight have settled, each within its timeout, and ends the inbox
   * subscription. The connection stays open. May be called again.
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
    if (wanted > 0 && this.#inbox.error !== null) throw this.#inbox.error;
    const correlationId = options.correlationId || (wanted > 0 ? this.#nextId() : '');
    if (wanted > 0 && this.#inbox.awaits(correlationId)) throw duplicate(correlationId);
    const data = writeMessage(value, options, wanted > 0 ? { ackInbox: this.#inbox.subject, correlationId } : options);
    this.#checkSize(subject, data);
    const timeout = options.timeout ?? this.#timeout;
    const parts = { subject, data, wanted, correlationId, timeout, signal: options.signal };
    const publish = new PendingPublish(parts, (settled) => this.#remove(settled));
    // First: adding the listener runs code of the caller, which may throw.
    if (options.signal) this.#signals.add(options.signal, publish);
    this.#deadlines.add(publish);
    if (wanted > 0) this.#inbox.add(publish);
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
      // Checked again: it may have waited for another connection, to a server with a lower limit.
      this.#checkSize(subject, data);
      this.#connection.publish(subject, data);
    } catch (cause) {
      const final = this.#connection.isClosed() || this.#connection.isDraining?.() === true;
      publish.reject(cause instanceof MessageTooLargeError ? cause : sendError(publish, cause, final));
      return;
    }
    publish.sent = true;
    publish.data = null;
    if (publish.wanted === 0) this.#flusher.add(publish);
  }

  #acknowledged(publish: PendingPublish, ack: Ack): void {
    this.#sendQueue.recordResponse(publish);
    // A publish whose signal has aborted is about to be rejected, in its turn: thousands may share one signal.
    if (publish.signal?.aborted) return;
    if (!publish.recordAck(ack)) this.#logger.debug({ ack }, 'a further ack of a stream that has sent one already');
    else if (publish.complete && publish.refusal === null) publish.resolve();
    else if (publish.complete) publish.reject(refusalError(publish));
  }

  #acknowledgedLate(ack: Ack): void {
    this.#logger.debug({ ack }, 'an ack that no publish waits for any more');
    this.#sendQueue.recordLateResponse(ack.messageSubject);
  }

  #connectionEvent(event: ConnectionEvent): void {
    switch (event.kind) {
      case 'publish-denied': {
        const denied = this.#sendQueue.sent().filter(({ subject }) => subject === event.subject);
        this.#rejectAll(denied, () => publishDenied(event.subject, event.cause));
        return;
      }
      case 'disconnect':
        // The NATS packages discard messages that they are given while they connect: publishes wait here instead.
        this.#sendQueue.pause();
        void this.#disconnected(this.#sendQueue.sent());
        return;
      case 'reconnect':
        this.#sendQueue.resume();
        return;
      case 'closed':
        this.#sendQueue.pause();
        this.#rejectAll([...this.#sendQueue.sent(), ...this.#sendQueue.waiting()], (publish) =>
          connectionClosed(publish, event.cause),
        );
        this.#stopWatching();
    }
  }

  async #disconnected(sent: readonly PendingPublish[]): Promise<void> {
    // By then a connection that must not connect again is known to be closed.
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
    this.#sendQueue.recordTimeout(publish);
    publish.reject(timeoutError(publish));
  }

  #remove(publish: PendingPublish): void {
    this.#deadlines.remove(publish);
    if (publish.wanted > 0) this.#inbox.remove(publish);
    if (publish.signal) this.#signals.delete(publish.signal, publish);
    this.#sendQueue.remove(publish);
    if (this.#sendQueue.size === 0) this.#drained?.resolve();
  }

  async #drain(): Promise<void> {
    if (this.#sendQueue.size > 0) {
      this.#drained = deferred();
      await this.#drained.promise;
    }
    this.#deadlines.clear();
    this.#stopWatching();
    this.#inbox.close();
  }
}

function duplicate(correlationId: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `publish: correlationId ${JSON.stringify(correlationId)} is that of a publish in flight; their acks could not be distinguished`,
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
