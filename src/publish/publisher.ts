import { CallerContext, inCallerContext } from '../async/caller-context.js';
import { monotonicNow } from '../async/clock.js';
import { within } from '../async/deadline.js';
import { deferred } from '../async/deferred.js';
import { SlicedQueue } from '../async/sliced-queue.js';
import { TimeoutQueue } from '../async/timeout-queue.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { ClosedError, errorFromAckError, errorFromAsyncError, HandlerError, type LiftbridgeError } from '../errors.js';
import { callback, checkValue } from '../options.js';
import { ackPolicyCode } from '../protocol/ack-policy.js';
import type { PublishResponse } from '../protocol/generated/api.js';
import { type Ack, toAck } from '../protocol/received-ack.js';
import { AdmissionQueue } from './admission-queue.js';
import { CorrelationIds } from './correlation-ids.js';
import { Dispatcher } from './dispatcher.js';
import { type Generation, PendingPublish, type Settle } from './partition-queue.js';
import { hasTime } from './partition-sender.js';
import { closedError, contextOf, isUnknownPlace, repeatedOffset, timeoutError } from './publish-errors.js';
import { type PublishOptions, readPublish, toBytes, toHeaders, type Value } from './publish-options.js';
import { type PublishStream, tooLarge } from './publish-stream.js';
import { SignalGroups } from './signal-groups.js';

/** What the publisher takes from the client's options; milliseconds and bytes. */
export interface PublisherOptions {
  readonly ackTimeout: number;
  readonly maxInFlight: { readonly messages: number; readonly bytes: number };
  readonly maxMessageBytes: number;
}

/** Counted for each message beside its key, value and headers: an estimate of tags, ids and names. */
const OVERHEAD = 64;
const NO_EXPECTATION = -1n;
/** Acks of other streams that a publish keeps at most. */
const MOST_OTHER_ACKS = 100;

/** Publishes to streams. Every publish settles exactly once: with its ack, an error, its timeout, an abort, or `close`. */
export class Publisher {
  readonly window: AdmissionQueue<PendingPublish>;
  readonly #cluster: Cluster;
  readonly #options: PublisherOptions;
  readonly #dispatcher: Dispatcher;
  /** Publishes that have ended and whose callers are to be told. */
  readonly #endings = new SlicedQueue<PendingPublish>((pending) =>
    this.#conclude(pending, pending.errorOf!(pending), null),
  );
  readonly #signals = new SignalGroups<PendingPublish>((pendings, reason) => this.#settleAll(pendings, () => reason));
  readonly #deadlines = new TimeoutQueue<PendingPublish>((pending) => this.#expire(pending));
  readonly #ids = new CorrelationIds();
  #count = 0;
  /** Streams that are known to check expected offsets: there, a repeated publish cannot be stored twice. */
  readonly #concurrencyControlled = new Set<string>();
  /** Generations that a flush waits for. */
  readonly #sealed = new Set<Generation>();
  /** Streams whose metadata is being refreshed because a publish to them failed. */
  readonly #refreshing = new Set<string>();
  #generation: Generation = newGeneration();
  #closed = false;
  /** True once nothing new may go out. */
  #stopped = false;

  constructor(cluster: Cluster, options: PublisherOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#dispatcher = new Dispatcher(cluster, {
      publishStreams: { maxMessageBytes: options.maxMessageBytes, idPrefix: this.#ids.prefix },
      settle: (pending, error) => this.#settle(pending, error, null),
      settleAll: (pendings, errorOf) => this.#settleAll(pendings, errorOf),
      response: (publishStream, response, pending) => this.#response(publishStream, response, pending),
      mayRepeat: (pending) => pending.expectedOffset >= 0n && this.#concurrencyControlled.has(pending.stream),
    });
    this.window = new AdmissionQueue(
      options.maxInFlight,
      (pending) => this.#admit(pending),
      // What cannot be acknowledged in time any more is not sent: it expires where it waits.
      (pending) => hasTime(pending, monotonicNow()),
    );
  }

  /** Publishes and waits for the ack; null with ackPolicy 'none', once it is written. */
  publish(stream: string, value: Value, options?: PublishOptions): Promise<Ack | null> {
    return new Promise((resolve, reject) => {
      this.#submit('publish', stream, value, options, (error, ack) => {
        if (error === null) resolve(ack);
        else reject(error);
      });
    });
  }

  /** Publishes and calls back exactly once, in the context of the call; a callback that throws is reported as 'asyncError'. A bad argument is thrown. */
  publishAsync(
    stream: string,
    value: Value,
    onAck: (error: LiftbridgeError | null, ack: Ack | null) => void,
    options?: PublishOptions,
  ): void {
    if (typeof onAck !== 'function') checkValue('publishAsync', 'onAck', onAck, callback);
    const context = new CallerContext();
    this.#submit('publishAsync', stream, value, options, (error, ack) => {
      try {
        context.runInAsyncScope(onAck, undefined, error as LiftbridgeError | null, ack);
      } catch (cause) {
        const message = `publishAsync to stream "${stream}": its callback threw`;
        this.#report(new HandlerError(message, { stream, operation: 'publishAsync', cause }));
      }
    });
  }

  /** Notes whether the stream checks expected offsets: publishes that have one may be repeated safely then. */
  noteConcurrencyControl(stream: string, controlled = true): void {
    if (controlled) this.#concurrencyControlled.add(stream);
    else this.#concurrencyControlled.delete(stream);
  }

  /** Resolves when every publish so far is settled. */
  async flush(): Promise<void> {
    if (this.#generation.open > 0) {
      this.#sealed.add(this.#generation);
      this.#generation = newGeneration();
    }
    await Promise.all([...this.#sealed].map((generation) => generation.done));
  }

  /** Waits for what is in flight until `deadline` (as of `monotonicNow()`), then fails the rest as CLOSED. */
  async close(deadline: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await within(deadline - monotonicNow(), this.flush());
    this.#stopped = true;
    this.#settleAll(this.#deadlines.entries(), closedError);
    this.#deadlines.clear();
    await this.#endings.idle();
    await this.#dispatcher.close(deadline);
  }

  #submit(where: string, stream: string, value: Value, given: PublishOptions | undefined, settle: Settle): void {
    const options = readPublish(where, stream, value, given);
    if (this.#closed) {
      settle(
        new ClosedError(`${where} to stream "${stream}": the client is closed`, { stream, operation: where }),
        null,
      );
      return;
    }
    const { signal } = options;
    if (signal?.aborted) {
      settle(signal.reason, null);
      return;
    }
    const pending = this.#newPending(where, stream, value, options, settle);
    if (pending === null) return;
    this.#generation.open++;
    this.#deadlines.add(pending);
    if (signal) {
      pending.signal = signal;
      this.#signals.add(signal, pending);
    }
    this.window.enter(pending);
  }

  #newPending(
    where: string,
    stream: string,
    value: Value,
    options: PublishOptions,
    settle: Settle,
  ): PendingPublish | null {
    const body = toBytes(value);
    const key = toBytes(options.key);
    const headers = toHeaders(options.headers);
    let size = OVERHEAD + (body?.length ?? 0) + (key?.length ?? 0);
    if (headers !== null) for (const [header, content] of headers) size += header.length + content.length + 8;
    if (size - OVERHEAD > this.#options.maxMessageBytes) {
      settle(tooLarge(stream, size - OVERHEAD, this.#options.maxMessageBytes), null);
      return null;
    }
    const policy = ackPolicyCode(options.ackPolicy ?? 'leader');
    const expected = options.expectedOffset;
    const number = this.#count++;
    const chosen = options.correlationId;
    return new PendingPublish(
      stream,
      key,
      body,
      headers,
      options.ackInbox ?? '',
      chosen ? this.#ids.choose(where, chosen) : this.#ids.generate(number, policy, stream),
      number,
      Boolean(chosen),
      policy,
      expected === undefined ? NO_EXPECTATION : BigInt(expected),
      options.partition ?? null,
      options.partitioner === undefined ? null : inCallerContext(options.partitioner),
      size,
      options.timeout ?? this.#options.ackTimeout,
      this.#generation,
      settle,
    );
  }

  #admit(pending: PendingPublish): void {
    pending.admitted = true;
    if (!this.#stopped) this.#dispatcher.dispatch(pending);
  }

  #response(
    publishStream: PublishStream<PendingPublish>,
    response: PublishResponse,
    pending: PendingPublish | null,
  ): void {
    const { ack, asyncError } = response;
    if (pending === null) {
      if (asyncError) this.#refusedUnawaited(publishStream, asyncError, response.correlationId);
    } else if (pending.settled) return;
    else if (asyncError) this.#refusedAtOnce(pending, errorFromAsyncError(asyncError, contextOf(pending)));
    else if (ack?.stream === pending.stream) this.#acknowledged(pending, ack);
    else if (ack !== undefined) noteOther(pending, ack);
  }

  #acknowledged(pending: PendingPublish, ack: NonNullable<PublishResponse['ack']>): void {
    const error = errorFromAckError(ack.ackError, contextOf(pending));
    if (error !== null) {
      this.#refused(pending, error);
      return;
    }
    this.#dispatcher.answered(pending, true);
    this.#noteOffset(pending, ack.offset);
    this.#settle(pending, null, toAck(ack));
  }

  /** Offsets that begin again are those of another stream of that name, which may have other partitions. */
  #noteOffset({ queue, offsetBefore, stream }: PendingPublish, offset: bigint): void {
    if (offset > queue!.newestOffset) queue!.newestOffset = offset;
    if (offset > offsetBefore) return;
    queue!.newestOffset = offset;
    this.#refresh(stream);
  }

  /** The broker refused it before it reached NATS: it is certainly not stored. */
  #refusedAtOnce(pending: PendingPublish, error: LiftbridgeError): void {
    if (!this.#dispatcher.takeBack(pending, error)) this.#refused(pending, error);
  }

  #refused(pending: PendingPublish, error: LiftbridgeError): void {
    this.#dispatcher.answered(pending, false);
    if (isUnknownPlace(error)) this.#refresh(pending.stream);
    if (error.code !== 'INCORRECT_OFFSET') {
      this.#settle(pending, error, null);
      return;
    }
    this.#concurrencyControlled.add(pending.stream);
    this.#settle(pending, pending.attempts > 1 ? repeatedOffset(pending, error) : error, null);
  }

  /** A publish that asked for no ack was refused, or one that was given up. */
  #refusedUnawaited(
    publishStream: PublishStream<PendingPublish>,
    refusal: NonNullable<PublishResponse['asyncError']>,
    id: string,
  ): void {
    const stream = this.#ids.streamOf(id);
    const error = errorFromAsyncError(refusal, { stream, broker: publishStream.target.id });
    if (stream !== undefined && isUnknownPlace(error)) this.#refresh(stream);
    this.#report(error);
  }

  #expire(pending: PendingPublish): void {
    if (pending.settled) return;
    this.#dispatcher.expired(pending);
    this.#settle(pending, timeoutError(pending), null);
    // The leader may have moved: publishes are only stored where it is.
    this.#refresh(pending.stream);
  }

  /** Refreshes the metadata of a stream, once for all publishes that fail at the same time. */
  #refresh(stream: string): void {
    if (this.#closed || this.#refreshing.has(stream)) return;
    this.#refreshing.add(stream);
    this.#cluster
      .refresh([stream])
      .catch((error: unknown) => {
        this.#cluster.logger.debug({ error, stream }, 'metadata refresh after a failed publish failed');
      })
      .finally(() => this.#refreshing.delete(stream));
  }

  #settle(pending: PendingPublish, error: unknown, ack: Ack | null): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#conclude(pending, error, ack);
  }

  /** Ends publishes at once, and tells their callers as fast as that does not block the event loop. */
  #settleAll(pendings: readonly PendingPublish[], errorOf: (pending: PendingPublish) => unknown): void {
    const open = pendings.filter(({ settled }) => !settled);
    for (const pending of open) {
      pending.settled = true;
      pending.errorOf = errorOf;
    }
    this.#endings.push(open);
  }

  #conclude(pending: PendingPublish, error: unknown, ack: Ack | null): void {
    this.#deadlines.remove(pending);
    if (pending.signal !== null) this.#signals.delete(pending.signal, pending);
    if (pending.chosenId) this.#ids.release(pending.correlationId);
    if (pending.sent) this.#dispatcher.finished(pending);
    pending.settle(error, ack);
    if (pending.admitted) this.window.leave(pending);
    const { generation } = pending;
    if (--generation.open === 0 && this.#sealed.delete(generation)) generation.resolve();
  }

  #report(error: LiftbridgeError): void {
    this.#cluster.logger.error({ error }, error.message);
    this.#cluster.emit('asyncError', error);
  }
}

/** Keeps the ack of another stream on the subject, one a stream. */
function noteOther(pending: PendingPublish, ack: NonNullable<PublishResponse['ack']>): void {
  pending.otherAcks ??= [];
  const { otherAcks } = pending;
  if (otherAcks.length < MOST_OTHER_ACKS && !otherAcks.some(({ stream }) => stream === ack.stream))
    otherAcks.push(toAck(ack));
}

function newGeneration(): Generation {
  const { promise, resolve } = deferred();
  return { open: 0, done: promise, resolve };
}
