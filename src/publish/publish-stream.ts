import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { queueMicrotask } from '../async/timers.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import { ConnectionError, type LiftbridgeError, metadataError, metadataFailure } from '../errors.js';
import { isDetached } from '../options.js';
import type { ByteWriter } from '../protocol/byte-writer.js';
import { encodePublishRequest, type PublishFields } from '../protocol/publish-request.js';
import { type CorrelatedResponse, decodeCorrelatedResponse } from '../protocol/publish-response.js';
import type { DataSession, DuplexStream } from '../transport/duplex.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { InFlight, type InFlightEntry } from './in-flight.js';
import { tooLargeError, transferredError } from './message-errors.js';
import { HEALTHY_AFTER_MS, LIVENESS_CHECK_PAUSE_MS, REOPEN_BACKOFF, STUCK_RESPONSE_MS } from './timing.js';

/** After this many failures in a row of the application's metadata function, publishes fail. */
const METADATA_ATTEMPTS = 3;

/** A publish, as a publish stream sends it. */
export interface SentPublish extends PublishFields, InFlightEntry {}

/** Publishes that ask for no ack and that the connection has taken. */
export interface WrittenPublishes<T> {
  readonly kind: 'written';
  readonly pendings: readonly T[];
}

/** What happens on a publish stream. */
export type PublishStreamEvent<T extends SentPublish> =
  /** The stream is open, or an attempt to open it failed: the queues that wait for it continue. */
  | { readonly kind: 'settled' }
  /** The broker responded. One allocation for each response: the decoded response is the event. */
  | CorrelatedResponse<T>
  | WrittenPublishes<T>
  /** The stream ended; `lost` are the publishes in flight, in the order in which they were sent. */
  | { readonly kind: 'ended'; readonly end: StreamEnd; readonly lost: readonly T[] };

/** Takes the events of publish streams. */
export type PublishStreamListener<T extends SentPublish> = (
  publishStream: PublishStream<T>,
  event: PublishStreamEvent<T>,
) => void;

/** Settings that all publish streams of a publisher share. */
export interface PublishStreamSettings {
  readonly maxMessageBytes: number;
  /** The start of generated correlation ids. */
  readonly idPrefix: string;
}

/** The PublishAsync stream to one broker. It is opened on demand, and again after it has ended. */
export class PublishStream<T extends SentPublish> {
  /** Publishes that were sent and neither acknowledged nor given up. */
  readonly inFlight: InFlight<T>;
  /** Opening makes no sense before this time, as of `monotonicNow()`. */
  blockedUntil = 0;
  /** The error of the last attempt to open it. */
  lastError: unknown = null;
  /** The error of a broker that refuses this client permanently; null once a connection succeeds. */
  refusal: LiftbridgeError | null = null;
  /** Why publishes that wait for the stream fail now: a function of the application has failed several times in a row. */
  handlerFailure: LiftbridgeError | null = null;
  #session: DataSession | null = null;
  #stream: DuplexStream | null = null;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #triedAt = 0;
  #openedAt = 0;
  #opening = false;
  #checkingStale = false;
  /** Whether the current stream has received a response. */
  #responded = false;
  #retired = false;
  #failures = 0;
  #metadataFailures = 0;
  #failingSince: number | null = null;
  /** Publishes without an ack that the connection has not taken yet. */
  #unwritten: T[] = [];
  #current: T | null = null;
  readonly #encode = (writer: ByteWriter): void => this.#encodeCurrent(writer);

  constructor(
    readonly target: BrokerTarget,
    private readonly cluster: Cluster,
    private readonly settings: PublishStreamSettings,
    private readonly listener: PublishStreamListener<T>,
  ) {
    this.inFlight = new InFlight(settings.idPrefix);
  }

  /** Whether it can be written to now. A stale connection must receive something first: see `open`. */
  get usable(): boolean {
    return !this.#retired && this.#stream?.writable === true && this.#session?.stale === false;
  }

  /** True once it accepts nothing new: the broker shuts down, or the publisher closes. */
  get retired(): boolean {
    return this.#retired;
  }

  /** Start of the failures, or of the attempt to connect; null while it is healthy. */
  get failingSince(): number | null {
    return this.#failingSince ?? (this.#opening ? this.#triedAt : null);
  }

  /** False while there is a stream, or one is being opened. */
  get closed(): boolean {
    return this.#stream === null && !this.#opening;
  }

  /**
   * Starts to open the stream. When the stream is open but not usable, it checks that the broker is alive. The event `settled`
   * reports the end of both.
   */
  open(): void {
    if (this.#retired || this.#opening) return;
    if (this.#stream !== null) {
      this.#checkStale();
      return;
    }
    this.#opening = true;
    this.#triedAt = monotonicNow();
    this.#connect().then(
      () => this.#opened(),
      (error: unknown) => this.#failed(error),
    );
  }

  /**
   * Cancels a stream whose last response began long ago and is not complete, after a publish timed out without a response. All
   * later responses would count as bytes of that one, while the connection is alive. The stream is opened again.
   */
  resetWhenStuck(): void {
    const since = this.#stream?.midMessageSince ?? null;
    if (since !== null && monotonicNow() - since >= STUCK_RESPONSE_MS)
      this.#stream?.cancel('a response has begun and does not end');
  }

  /** Checks that the broker is alive when acks are overdue. A dead connection is closed, which ends the stream. */
  checkLiveness(): void {
    const now = monotonicNow();
    if (this.#session === null || this.#stream === null || now - this.#checkedAt < LIVENESS_CHECK_PAUSE_MS) return;
    this.#checkedAt = now;
    void this.#session.checkLiveness();
  }

  #checkStale(): void {
    if (this.#checkingStale || this.#session?.stale !== true) return;
    this.#checkingStale = true;
    void this.#session.checkLiveness().then(() => {
      this.#checkingStale = false;
      this.listener(this, { kind: 'settled' });
    });
  }

  /** Adds a publish to the stream. Throws MessageTooLargeError, with nothing added. */
  write(pending: T): void {
    this.#current = pending;
    try {
      this.#stream!.write(this.#encode);
    } finally {
      this.#current = null;
    }
  }

  /** Adds a publish that asks for no ack; the event `written` follows when the connection has taken it. */
  writeUnacknowledged(pending: T): void {
    this.write(pending);
    this.#unwritten.push(pending);
    if (this.#unwritten.length === 1) this.#watchDrain();
  }

  /** Stops sending; acks of sent publishes may still come. */
  retire(): void {
    this.#retired = true;
    this.#stream?.halfClose();
  }

  /** Ends the stream now. */
  cancel(): void {
    this.#retired = true;
    this.#stream?.cancel('publisher closed');
  }

  /** Resolves when the stream has ended; at once when there is none. */
  async ended(): Promise<void> {
    await this.#stream?.ended;
  }

  async #connect(): Promise<void> {
    const session = await this.cluster.session(this.target);
    if (this.#retired) return;
    const stream = session.open('/proto.API/PublishAsync');
    this.#session = session;
    this.#stream = stream;
    this.#openedAt = monotonicNow();
    const forget = session.onClose(() => this.retire());
    this.#responded = false;
    stream.onFrames((source, start, end) => {
      this.#responded = true;
      this.#markHealthy();
      this.listener(this, decodeCorrelatedResponse(source, start, end, this.inFlight));
    });
    void stream.ended.then((end) => {
      forget();
      this.#ended(end);
    });
  }

  #opened(): void {
    this.#opening = false;
    this.refusal = null;
    this.listener(this, { kind: 'settled' });
  }

  #failed(error: unknown): void {
    this.#opening = false;
    this.lastError = error;
    this.refusal = isFinal(error) ? error : null;
    this.#block();
    this.listener(this, { kind: 'settled' });
  }

  #watchDrain(): void {
    void this.#stream!.drained().then(() => {
      const waited = this.#unwritten;
      const count = waited.length;
      // A stream that ends resolves `drained()` first and reports its end after that.
      queueMicrotask(() => {
        if (this.#unwritten === waited) this.#drained(count);
      });
    });
  }

  #drained(count: number): void {
    const written = this.#unwritten;
    this.#unwritten = written.splice(count);
    if (this.#unwritten.length > 0) this.#watchDrain();
    this.listener(this, { kind: 'written', pendings: written });
  }

  #ended(end: StreamEnd): void {
    this.#stream = null;
    this.#session = null;
    if (monotonicNow() - this.#openedAt >= HEALTHY_AFTER_MS) this.#markHealthy();
    if (!this.#retired) this.#block();
    const metadata = metadataFailure(end.cause);
    if (metadata !== undefined && (++this.#metadataFailures >= METADATA_ATTEMPTS || metadata.isInvalid))
      this.handlerFailure = metadataError('Publish', metadata, { broker: this.target.id, operation: 'Publish' });
    const unwritten = this.#unwritten;
    this.#unwritten = [];
    const inFlight = this.inFlight.clear();
    if (end.code === 0) this.listener(this, { kind: 'written', pendings: unwritten });
    // The broker has processed a stream with a response, even if the end of the stream says otherwise.
    const corrected = this.#responded ? { ...end, processed: true } : end;
    const lost = end.code === 0 ? inFlight : [...inFlight, ...unwritten];
    this.listener(this, { kind: 'ended', end: corrected, lost });
  }

  #markHealthy(): void {
    this.#failures = 0;
    this.#metadataFailures = 0;
    this.#failingSince = null;
  }

  #block(): void {
    const now = monotonicNow();
    this.#failingSince ??= now;
    this.blockedUntil = now + backoffDelay(++this.#failures, REOPEN_BACKOFF);
  }

  #encodeCurrent(writer: ByteWriter): void {
    const before = writer.length;
    const pending = this.#current!;
    if (hasDetachedBytes(pending)) throw transferredError(pending.stream);
    encodePublishRequest(writer, pending);
    const size = writer.length - before;
    const { maxMessageBytes } = this.settings;
    if (size > maxMessageBytes) throw tooLargeError(pending.stream, size, maxMessageBytes);
  }
}

/** Whether the broker refuses this client permanently. */
function isFinal(error: unknown): error is LiftbridgeError {
  return error instanceof ConnectionError && error.reason.startsWith('tls-') && !error.retryable;
}

/** Whether bytes that were not copied have been transferred while the publish waited: it would be stored without them. */
function hasDetachedBytes({ key, value, headers }: SentPublish): boolean {
  if ((value !== null && isDetached(value)) || (key !== null && isDetached(key))) return true;
  if (headers !== null) for (const [, content] of headers) if (isDetached(content)) return true;
  return false;
}
