import { CallerContext } from '../async/caller-context.js';
import { monotonicNow } from '../async/clock.js';
import { within } from '../async/deadline.js';
import { deferred } from '../async/deferred.js';
import { SignalGroups } from '../async/signal-groups.js';
import { SlicedQueue } from '../async/sliced-queue.js';
import { TimeoutQueue } from '../async/timeout-queue.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { atCallSite, callSite, rejectedAtCaller } from '../errors/call-site.js';
import { ClosedError, HandlerError, type LiftbridgeError } from '../errors.js';
import { callback, checkValue, type PublishDefaults } from '../options.js';
import { type Ack, toAck } from '../protocol/received-ack.js';
import { AdmissionQueue } from './admission-queue.js';
import { CorrelationIds } from './correlation-ids.js';
import { Dispatcher } from './dispatcher.js';
import type { Generation, PendingPublish, Settle } from './partition-queue.js';
import { hasTime } from './probe-pacing.js';
import { closedError, timeoutError } from './publish-errors.js';
import { type PublishOptions, readPublish, type Value, withDefaults } from './publish-options.js';
import type { PublishOutcome } from './publish-outcome.js';
import { PublishRecords } from './publish-records.js';
import { UnreadSources } from './unread-sources.js';

/** The part of the client's options that the publisher uses; milliseconds and bytes. */
export interface PublisherOptions {
  readonly ackTimeout: number;
  readonly maxInFlight: { readonly messages: number; readonly bytes: number };
  readonly maxMessageBytes: number;
  readonly publishDefaults?: PublishDefaults | undefined;
}

/** Publishes to streams. Every publish settles exactly once: with its ack, an error, its timeout, an abort, or `close`. */
export class Publisher {
  /** Calls of `publishAll` that nothing reads. */
  readonly unread = new UnreadSources();
  /** The publishes in flight, and those that wait for room. */
  readonly admission: AdmissionQueue<PendingPublish>;
  readonly #cluster: Cluster;
  readonly #dispatcher: Dispatcher;
  /** Publishes that have failed and whose callers are not told yet. */
  readonly #failed = new SlicedQueue<PendingPublish>((pending) =>
    this.#conclude(pending, pending.errorOf!(pending), null),
  );
  readonly #signals = new SignalGroups<PendingPublish>((pendings, reason) => this.#failAll(pendings, () => reason));
  readonly #deadlines = new TimeoutQueue<PendingPublish>((pending) => this.#expire(pending));
  readonly #ids = new CorrelationIds();
  readonly #records: PublishRecords;
  readonly #defaults: PublishDefaults | undefined;
  /** Generations that a flush waits for. */
  readonly #sealed = new Set<Generation>();
  #generation: Generation = newGeneration();
  #closed = false;
  /** True once no further publish may be sent. */
  #stopped = false;

  constructor(cluster: Cluster, options: PublisherOptions) {
    this.#cluster = cluster;
    this.#defaults = options.publishDefaults;
    this.#records = new PublishRecords(this.#ids, options);
    this.#dispatcher = new Dispatcher(cluster, {
      maxMessageBytes: options.maxMessageBytes,
      ids: this.#ids,
      report: (result) => this.#handleResult(result),
    });
    this.admission = new AdmissionQueue(
      options.maxInFlight,
      (pending) => this.#admit(pending),
      // A publish that cannot be acknowledged in time is not sent: it times out while it waits.
      (pending) => hasTime(pending, monotonicNow()),
    );
  }

  /** Publishes and resolves with the ack; with null once it is written for ackPolicy 'none'. */
  publish(stream: string, value: Value, options?: PublishOptions): Promise<Ack | null> {
    // Not a deferred promise: this makes one object less for each publish.
    return new Promise((resolve, reject) => {
      try {
        this.#submit('publish', stream, value, options, (error, ack) => {
          // The call site is expensive to find, so only a failure looks for it.
          resolve(error === null ? ack : rejectedAtCaller(error));
        });
      } catch (error) {
        reject(atCallSite(error, callSite()));
      }
    });
  }

  /**
   * Publishes and calls back exactly once, in the async context of the call. Reports a callback that throws as 'asyncError'.
   * Throws InvalidArgumentError.
   */
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

  /** Records whether the stream checks expected offsets: publishes that have one may be repeated safely then. */
  noteConcurrencyControl(stream: string, controlled = true): void {
    this.#dispatcher.noteConcurrencyControl(stream, controlled);
  }

  /** Resolves when all earlier publishes have settled. */
  async flush(): Promise<void> {
    this.unread.warn();
    if (this.#generation.open > 0) {
      this.#sealed.add(this.#generation);
      this.#generation = newGeneration();
    }
    await Promise.all([...this.#sealed].map((generation) => generation.done));
  }

  /** Waits until `deadline` (as of `monotonicNow()`) for the publishes in flight, then fails the rest with CLOSED. */
  async close(deadline: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#dispatcher.beginClose();
    await within(deadline - monotonicNow(), this.flush());
    this.#stopped = true;
    this.#failAll(this.#deadlines.entries(), closedError);
    this.#deadlines.clear();
    await this.#failed.idle();
    await this.#dispatcher.close(deadline);
  }

  #submit(where: string, stream: string, value: Value, given: PublishOptions | undefined, settle: Settle): void {
    const read = readPublish(where, stream, value, given);
    const options = this.#defaults === undefined ? read : withDefaults(read, this.#defaults);
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
    const pending = this.#records.create(where, stream, value, options, this.#generation, settle);
    if (pending === null) return;
    this.#generation.open++;
    this.#deadlines.add(pending);
    if (signal) this.#signals.add(signal, pending);
    this.admission.enter(pending);
  }

  #admit(pending: PendingPublish): void {
    pending.admitted = true;
    if (!this.#stopped) this.#dispatcher.dispatch(pending);
  }

  #handleResult(result: PublishOutcome): void {
    switch (result.kind) {
      case 'response':
        this.#settle(result.pending, null, toAck(result.ack, result.pending.partition));
        return;
      case 'written':
        for (const pending of result.pendings) this.#settle(pending, null, null);
        return;
      case 'failed':
        this.#settle(result.pending, result.error, null);
        return;
      case 'all-failed':
        this.#failAll(result.pendings, result.errorOf);
        return;
      case 'refused-unawaited':
        this.#report(result.error);
    }
  }

  #expire(pending: PendingPublish): void {
    if (pending.settled) return;
    this.#dispatcher.recordTimeout(pending);
    this.#settle(pending, timeoutError(pending), null);
    // The leader may have changed: only the leader stores publishes.
    this.#dispatcher.refresh(pending.stream);
  }

  #settle(pending: PendingPublish, error: unknown, ack: Ack | null): void {
    if (pending.settled) return;
    pending.settled = true;
    this.#conclude(pending, error, ack);
  }

  /** Settles publishes at once, and tells their callers without blocking the event loop. */
  #failAll(pendings: readonly PendingPublish[], errorOf: (pending: PendingPublish) => unknown): void {
    const open = pendings.filter(({ settled }) => !settled);
    for (const pending of open) {
      pending.settled = true;
      pending.errorOf = errorOf;
    }
    this.#failed.push(open);
  }

  #conclude(pending: PendingPublish, error: unknown, ack: Ack | null): void {
    this.#deadlines.remove(pending);
    if (pending.signal !== null) this.#signals.delete(pending.signal, pending);
    if (pending.chosenId) this.#ids.release(pending.correlationId);
    if (pending.sent) this.#dispatcher.remove(pending);
    pending.settle(error, ack);
    if (pending.admitted) this.admission.leave(pending);
    const { generation } = pending;
    if (--generation.open === 0 && this.#sealed.delete(generation)) generation.resolve();
  }

  #report(error: LiftbridgeError): void {
    this.#cluster.logger.error({ err: error }, error.message);
    this.#cluster.emit('asyncError', error);
  }
}

function newGeneration(): Generation {
  const { promise, resolve } = deferred();
  return { open: 0, done: promise, resolve };
}
