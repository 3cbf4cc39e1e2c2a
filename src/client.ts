import { EventEmitter } from 'node:events';
import { type InspectOptions, inspect } from 'node:util';
import { Cursors } from './admin/cursors.js';
import {
  type FetchMetadataOptions,
  fetchMetadata,
  fetchPartitionMetadata,
  flushed,
  ping,
} from './admin/metadata-api.js';
import type { CreateStreamOptions, PauseStreamOptions, SetStreamReadonlyOptions } from './admin/stream-options.js';
import { createStream, deleteStream, pauseStream, setStreamReadonly } from './admin/streams.js';
import { monotonicNow } from './async/clock.js';
import { ClientReaders, closedError } from './client-readers.js';
import { type ClusterEvents, EVENT_NAMES, type Metadata, type PartitionInfo } from './cluster/cluster-api.js';
import type { Router } from './cluster/router.js';
import type { Consumer } from './consumer/consumer.js';
import type { ConsumerOptions } from './consumer/consumer-options.js';
import { publishDiagnostics } from './diagnostics.js';
import { atCallSite, callSite, pointErrorsAtCaller } from './errors/call-site.js';
import type { LiftbridgeError } from './errors.js';
import { CALL_SHAPE, type CallOptions, milliseconds, readOptions } from './options.js';
import { jsonable } from './protocol/json.js';
import type { Ack } from './protocol/received-ack.js';
import { type PublishSource, publishAll } from './publish/publish-all.js';
import { type PublishResult, publishBatch } from './publish/publish-batch.js';
import type { OutgoingMessage, PublishAllOptions, PublishOptions, Value } from './publish/publish-options.js';
import { publishToSubject } from './publish/publish-to-subject.js';
import { Publisher } from './publish/publisher.js';
import { type ActivityFeed, type ActivityOptions, openActivity } from './subscribe/activity-feed.js';
import type { SubscribeOptions } from './subscribe/positions.js';
import type { Subscription } from './subscribe/subscription.js';

/** Options of `client.close`. @inline */
export interface CloseOptions {
  /** Milliseconds that publishes in flight have to be acknowledged. Default: the client's `ackTimeout`. */
  readonly timeout?: number | undefined;
}

/** Options of a publish that is acknowledged. @inline */
export type WithAck = PublishOptions & { readonly ackPolicy?: 'leader' | 'all' | undefined };
/** Options of a publish that is not acknowledged. @inline */
export type WithoutAck = PublishOptions & { readonly ackPolicy: 'none' };

/** The events of a client, by name; see `ClusterEvents` for when each is sent. There is none called 'error'. */
export type ClientEvents = { [Name in keyof ClusterEvents]: [...ClusterEvents[Name]] };

/** A connection to a Liftbridge cluster, made by `connect`. Safe to share. go-liftbridge: `Client`. */
export class Client extends EventEmitter<ClientEvents> implements AsyncDisposable {
  static {
    pointErrorsAtCaller(Client.prototype, [
      ...(['createStream', 'deleteStream', 'pauseStream', 'setStreamReadonly'] as const),
      ...(['publishToSubject', 'publishBatch', 'subscribe', 'createConsumer', 'activity'] as const),
      ...(['fetchMetadata', 'fetchPartitionMetadata', 'setCursor', 'fetchCursor'] as const),
      ...(['ping', 'flush', 'close'] as const),
    ]);
  }

  readonly #router: Router;
  readonly #publisher: Publisher;
  readonly #cursors: Cursors;
  readonly #readers: ClientReaders;
  #closing: Promise<void> | null = null;

  /** @internal */
  static create(router: Router): Client {
    return new Client(router);
  }

  private constructor(router: Router) {
    super();
    this.#router = router;
    this.#publisher = new Publisher(router, router.options);
    this.#cursors = new Cursors(router);
    this.#readers = new ClientReaders(router, this.#publisher, this.#cursors);
    for (const name of EVENT_NAMES) this.#forward(name);
  }

  /**
   * Creates a stream on a NATS subject and waits until every partition has a leader that answers, unless
   * `waitForLeaders` is false. Resolves with whether it was created: with `ifNotExists` it may be there. Rejects with STREAM_EXISTS, or TIMEOUT when created but not ready in time.
   * go-liftbridge: `CreateStream`.
   */
  async createStream(subject: string, name: string, options: CreateStreamOptions = {}): Promise<boolean> {
    this.#assertOpen('createStream');
    const { options: given, created } = await createStream(this.#router, subject, name, options);
    if (created) this.#publisher.noteConcurrencyControl(name, given.optimisticConcurrencyControl === true);
    return created;
  }

  /** Deletes a stream with all its messages. Rejects with NO_SUCH_STREAM. go-liftbridge: `DeleteStream`. */
  async deleteStream(name: string, options: CallOptions = {}): Promise<void> {
    this.#assertOpen('deleteStream');
    await deleteStream(this.#router, name, options);
  }

  /** Pauses partitions, all by default, until the next publish. Rejects with NO_SUCH_PARTITION. go-liftbridge: `PauseStream`. */
  async pauseStream(name: string, options: PauseStreamOptions = {}): Promise<void> {
    this.#assertOpen('pauseStream');
    await pauseStream(this.#router, name, options);
  }

  /** Makes partitions, all by default, readonly or writable again. Rejects with NO_SUCH_PARTITION. go-liftbridge: `SetStreamReadonly`. */
  async setStreamReadonly(name: string, options: SetStreamReadonlyOptions = {}): Promise<void> {
    this.#assertOpen('setStreamReadonly');
    await setStreamReadonly(this.#router, name, options);
  }

  /**
   * Publishes a message and waits for its ack; null with ackPolicy 'none'. Rejects with ACK_TIMEOUT when none comes in
   * time (it may be stored all the same), NO_SUCH_PARTITION, READONLY_PARTITION, INCORRECT_OFFSET, MESSAGE_TOO_LARGE.
   * go-liftbridge: `Publish`.
   */
  publish(stream: string, value: Value, options?: WithAck): Promise<Ack>;
  /** The same without an ack: resolves with null once the connection has taken the message. */
  publish(stream: string, value: Value, options: WithoutAck): Promise<null>;
  /** The same where the ack policy is not known to the compiler. */
  publish(stream: string, value: Value, options?: PublishOptions): Promise<Ack | null>;
  publish(stream: string, value: Value, options?: PublishOptions): Promise<Ack | null> {
    return this.#publisher.publish(stream, value, options);
  }

  /**
   * Publishes a message and calls back exactly once, with its ack or an error, in the asynchronous context (AsyncLocalStorage)
   * of the call. Throws for a bad argument. go-liftbridge: `PublishAsync`.
   */
  publishAsync(
    stream: string,
    value: Value,
    onAck: (error: LiftbridgeError | null, ack: Ack | null) => void,
    options?: PublishOptions,
  ): void {
    try {
      this.#publisher.publishAsync(stream, value, onAck, options);
    } catch (error) {
      throw atCallSite(error, callSite(this.publishAsync));
    }
  }

  /**
   * Publishes messages in their order and resolves with a result for each, in the same order. Rejects for a bad argument, before
   * anything is sent, and with the reason of the signal; never because of a message.
   */
  async publishBatch(
    stream: string,
    messages: readonly (Value | OutgoingMessage)[],
    options: PublishOptions = {},
  ): Promise<PublishResult[]> {
    this.#assertOpen('publishBatch');
    return await publishBatch(this.#publisher, stream, messages, options);
  }

  /**
   * Publishes a whole source, pipelined inside the in-flight window, and hands out the acks in source order. Reads no
   * further ahead than `maxInFlight`, and nothing before the first one is asked for. The first failure ends the iterable; with
   * `onError: 'continue'` it hands out a result for each message, with its index, ack and error.
   */
  publishAll(
    stream: string,
    source: PublishSource,
    options: PublishOptions & { readonly onError: 'continue' },
  ): AsyncIterable<PublishResult>;
  /** The same with acks alone; the first failure ends it. */
  publishAll(
    stream: string,
    source: PublishSource,
    options?: PublishOptions & { readonly onError?: 'stop' | undefined },
  ): AsyncIterable<Ack>;
  publishAll(
    stream: string,
    source: PublishSource,
    options: PublishAllOptions = {},
  ): AsyncIterable<Ack | PublishResult> {
    return publishAll(this.#publisher, stream, source, options, this.#router.options.maxInFlight.messages);
  }

  /**
   * Publishes to a NATS subject, whatever streams listen there, and resolves with the first ack. With a partitioner the
   * stream on that subject is looked up and partition n > 0 becomes "subject.n". go-liftbridge: `PublishToSubject`.
   */
  publishToSubject(subject: string, value: Value, options?: WithAck): Promise<Ack>;
  /** The same without an ack. */
  publishToSubject(subject: string, value: Value, options: WithoutAck): Promise<null>;
  /** The same where the ack policy is not known to the compiler. */
  publishToSubject(subject: string, value: Value, options?: PublishOptions): Promise<Ack | null>;
  async publishToSubject(subject: string, value: Value, options: PublishOptions = {}): Promise<Ack | null> {
    this.#assertOpen('publishToSubject');
    return await publishToSubject(this.#router, subject, value, options, this.#router.options);
  }

  /** Subscribes to a partition or to all of them; resolves when the broker confirmed it. go-liftbridge: `Subscribe`. */
  async subscribe(stream: string, options: SubscribeOptions = {}): Promise<Subscription> {
    this.#assertOpen('subscribe');
    return await this.#readers.subscribe(stream, options);
  }

  /** Asks for metadata: of the named streams, or of all of them, and of the named groups. The answer also updates the cached view. go-liftbridge: `FetchMetadata`. */
  async fetchMetadata(options: FetchMetadataOptions = {}): Promise<Metadata> {
    this.#assertOpen('fetchMetadata');
    return await fetchMetadata(this.#router, options);
  }

  /** Asks the leader of a partition for its exact state. Rejects with PARTITION_PAUSED when it is paused and has no leader. go-liftbridge: `FetchPartitionMetadata`. */
  async fetchPartitionMetadata(stream: string, partition: number, options: CallOptions = {}): Promise<PartitionInfo> {
    this.#assertOpen('fetchPartitionMetadata');
    return await fetchPartitionMetadata(this.#router, stream, partition, options);
  }

  /** The cached view of the cluster; a new snapshot takes its place with each 'metadata' event. */
  get metadata(): Metadata {
    return this.#router.metadata;
  }

  /** Stores the position of a reader under an id. Rejects with CURSORS_DISABLED. go-liftbridge: `SetCursor`. */
  async setCursor(
    cursorId: string,
    stream: string,
    partition: number,
    offset: bigint | number,
    options: CallOptions = {},
  ): Promise<void> {
    this.#assertOpen('setCursor');
    await this.#cursors.set(cursorId, stream, partition, offset, options);
  }

  /**
   * Reads a stored position, -1n when there is none. While the broker that keeps it recovers, waits until that shows what was
   * stored: it would return an older position, and cache it. A broker without replicas shows it after a write only, so a
   * cursor `__probe:<n>` of no meaning is written then. Rejects with CURSORS_DISABLED, or with TIMEOUT.
   * go-liftbridge: `FetchCursor`.
   */
  async fetchCursor(cursorId: string, stream: string, partition: number, options: CallOptions = {}): Promise<bigint> {
    this.#assertOpen('fetchCursor');
    return await this.#cursors.fetch(cursorId, stream, partition, options);
  }

  /** Makes a member of a consumer group, which joins when it subscribes. Throws INVALID_ARGUMENT. go-liftbridge: `CreateConsumer`. */
  createConsumer(groupId: string, options?: ConsumerOptions): Consumer {
    this.#assertOpen('createConsumer');
    return this.#readers.createConsumer(groupId, options);
  }

  /**
   * Reads the activity stream, decoded; `startAt`, `stopAt`, `signal` and `timeout` are those of `subscribe`. Rejects with
   * NO_SUCH_STREAM when the server keeps none.
   */
  async activity(options: ActivityOptions = {}): Promise<ActivityFeed> {
    this.#assertOpen('activity');
    return await openActivity((stream, given) => this.#readers.subscribe(stream, given), options);
  }

  /** Milliseconds that a real call to some broker and back takes. */
  async ping(options: CallOptions = {}): Promise<number> {
    this.#assertOpen('ping');
    return await ping(this.#router, options);
  }

  /** Resolves when every publish so far is acknowledged or failed. */
  async flush(options: CallOptions = {}): Promise<void> {
    this.#assertOpen('flush');
    const given = readOptions<CallOptions>('flush', options, CALL_SHAPE);
    const { ackTimeout } = this.#router.options;
    await flushed(this.#router, { timeout: ackTimeout, ...given }, () => this.#publisher.flush());
  }

  /**
   * Waits for publishes in flight, ends subscriptions and closes every connection; whatever is called afterwards rejects
   * with CLOSED. Idempotent. go-liftbridge: `Close`.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const given = readOptions<CloseOptions>('close', options, { timeout: milliseconds(0) });
    this.#closing ??= this.#close(given);
    await this.#closing;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For logs: what it is connected to, and how it is doing. @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const state = this.#closing === null ? 'open' : 'closed';
    const { inFlight, waiting } = this.#publisher.admission;
    const fields = {
      ...{ state, brokers: state === 'open' ? this.#router.brokers : [], streams: this.metadata.streams.size },
      ...this.#readers.counts,
      publishes: { inFlight, waiting },
    };
    return `Client ${inspect(fields, options)}`;
  }

  async #close(options: CloseOptions): Promise<void> {
    const deadline = monotonicNow() + (options.timeout ?? this.#router.options.ackTimeout);
    try {
      await this.#readers.closeConsumers(deadline);
      await Promise.all([this.#publisher.close(deadline), this.#readers.closeSubscriptions()]);
    } finally {
      await this.#router.close();
    }
  }

  #assertOpen(operation: string): void {
    if (this.#closing !== null) throw closedError(operation);
  }

  #forward<Name extends keyof ClusterEvents>(name: Name): void {
    this.#router.on(name, (...event) => {
      publishDiagnostics(this, name, event);
      (this as EventEmitter).emit(name, ...event.map(withJson));
    });
  }
}

/** What an event carries, with a `toJSON`; metadata and errors have theirs. */
function withJson(payload: object): object {
  return 'toJSON' in payload ? payload : jsonable({ ...payload });
}
