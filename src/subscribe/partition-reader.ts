import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerTarget, Cluster, Waiting } from '../cluster/contract.js';
import {
  ConnectionError,
  errorFromStatus,
  LiftbridgeError,
  StreamDeletedError,
  statusMeaning,
  TimeoutError,
} from '../errors.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import type { DuplexStream } from '../transport/duplex.js';
import { RpcFailure, Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { Bounds } from './bounds.js';
import { noLeader, noSuchPartition, noSuchStream } from './errors.js';
import { encodeSubscribe, type ReadPlan } from './positions.js';
import { NotConfirmed, openSubscribeCall } from './subscribe-call.js';

const FIRST_DELAY = 10;
const LONGEST_DELAY = 1_000;
const NEWEST_TIMEOUT = 2_000;
/** A stream that so many fresh looks in a row do not find is gone: one broker may lag behind the others. */
const MISSES = 5;
const MISS_PAUSE = 50;

/** What a reader tells its subscription. */
export interface ReaderEvents {
  messages(reader: PartitionReader, messages: ReceivedMessage[], bytes: number): void;
  /** Everything in the range was handed out. */
  done(reader: PartitionReader): void;
  failed(reader: PartitionReader, error: unknown): void;
  /** The broker gave the partition to another member of the consumer group. */
  revoked(reader: PartitionReader): void;
}

/** What a reader takes from the client; milliseconds. */
export interface ReaderOptions {
  readonly requestTimeout: number;
  readonly resubscribeTimeout: number;
  /** Reads a stored cursor; -1n when there is none. */
  readonly fetchCursor: (cursorId: string, stream: string, partition: number, waiting: Waiting) => Promise<bigint>;
}

/** What to do about an attempt that failed. */
type Remedy = { readonly retry: unknown } | { readonly missing: LiftbridgeError } | 'done' | { readonly give: unknown };

/** Reads one partition, over as many Subscribe calls as it takes, without gap and without duplicate. */
export class PartitionReader {
  readonly #plan: ReadPlan;
  readonly #bounds: Bounds;
  readonly #events: ReaderEvents;
  readonly #options: ReaderOptions;
  readonly #cluster: Cluster;
  readonly #cancelled = new AbortController();
  #call: DuplexStream | null = null;
  #target: BrokerTarget | null = null;
  #opened = false;
  #newestKnown = false;
  #progress = false;
  #paused = false;
  #over = false;

  constructor(
    cluster: Cluster,
    readonly stream: string,
    readonly partition: number,
    plan: ReadPlan,
    options: ReaderOptions,
    events: ReaderEvents,
  ) {
    this.#cluster = cluster;
    this.#plan = plan;
    this.#options = options;
    this.#events = events;
    this.#bounds = new Bounds(plan);
  }

  /** The next offset that it expects to receive; null while only the broker can tell. */
  get position(): bigint | null {
    return this.#bounds.next;
  }

  /** True once it will deliver nothing more. */
  get over(): boolean {
    return this.#over;
  }

  /** Resolves when a broker has confirmed the subscription, or there is nothing to read. */
  async open(waiting: Waiting): Promise<void> {
    const timeout = waiting.timeout ?? this.#options.requestTimeout;
    const deadline = Date.now() + timeout;
    const bounded = (): Waiting => ({ signal: waiting.signal, timeout: Math.max(1, deadline - Date.now()) });
    try {
      await this.#lookUp(bounded);
      await this.#resolveCursor(bounded());
      const last = await this.#persist(deadline, bounded);
      if (last !== undefined) throw timedOut(this, timeout, last);
    } catch (error) {
      this.#over = true;
      throw error;
    }
  }

  /** Lets the brokers send no more than fits into the connection's window. */
  pause(): void {
    this.#paused = true;
    this.#call?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#call?.resume();
  }

  /** Ends the reader without a word; the call is cancelled at the broker. */
  cancel(): void {
    this.#over = true;
    this.#cancelled.abort(new Error('the subscription was closed'));
    this.#call?.cancel('the subscription was closed');
    this.#call = null;
  }

  /** Moves to the new leader: the old one may go on serving, cut off from what the cluster commits. */
  leaderChanged(to: string | null): void {
    if (this.#call === null || this.#plan.readIsrReplica || to === null || to === this.#target?.id) return;
    const error = noLeader(this.stream, this.partition, `the leader is broker ${to} now`);
    this.#call.cancel('the leader has moved');
    this.#call = null;
    void this.#recover(error);
  }

  async #lookUp(bounded: () => Waiting): Promise<void> {
    for (let misses = 0; this.#cluster.partitionCount(this.stream) <= this.partition; misses++) {
      if (misses > 0) await sleep(MISS_PAUSE, undefined, { ...(bounded().signal && { signal: bounded().signal! }) });
      await this.#cluster.refresh([this.stream], bounded());
      const count = this.#cluster.partitionCount(this.stream);
      if (count > 0 && count <= this.partition) throw noSuchPartition(this.stream, this.partition, count);
      if (misses >= MISSES) throw noSuchStream(this.stream);
    }
  }

  async #resolveCursor(waiting: Waiting): Promise<void> {
    const { start } = this.#plan;
    if (start.at !== 'cursor') return;
    const offset = await this.#options.fetchCursor(start.cursor, this.stream, this.partition, waiting);
    this.#bounds.startAt(offset < 0n ? { at: 'earliest' } : { at: 'offset', offset: offset + 1n });
  }

  /** Tries until a call stands, or there is nothing to read. Answers the last error when the time is up. */
  async #persist(deadline: number, bounded: () => Waiting): Promise<unknown> {
    let delay = FIRST_DELAY;
    let misses = 0;
    for (let attempt = 1; ; attempt++) {
      const remedy = await this.#attempt(bounded());
      if (remedy === null || this.#over) return undefined;
      if (remedy === 'done') {
        this.#finish();
        return undefined;
      }
      if ('give' in remedy) throw remedy.give;
      if ('missing' in remedy && ++misses >= MISSES) throw remedy.missing;
      const error = 'missing' in remedy ? remedy.missing : remedy.retry;
      if (Date.now() + delay >= deadline) return error;
      this.#cluster.emit('retry', { operation: 'Subscribe', attempt, delay, error });
      const { signal } = bounded();
      await sleep(delay, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
      delay = Math.min(LONGEST_DELAY, delay * 2);
      await this.#refresh(bounded());
    }
  }

  async #attempt(waiting: Waiting): Promise<Remedy | null> {
    try {
      if (!this.#newestKnown && this.#bounds.needsNewest) await this.#learnNewest(waiting);
      if (this.#bounds.exhausted) return 'done';
      await this.#subscribe(waiting);
      return null;
    } catch (error) {
      waiting.signal?.throwIfAborted();
      return this.#remedy(error);
    }
  }

  async #subscribe(waiting: Waiting): Promise<void> {
    const target = this.#choose();
    const request = encodeSubscribe(this.stream, this.partition, this.#plan, this.#bounds.range(this.#opened));
    let call: DuplexStream | null = null;
    const current = (): boolean => !this.#over && (call === null || call === this.#call);
    call = await openSubscribeCall(
      this.#cluster,
      target,
      request,
      (messages, bytes) => {
        if (current()) this.#receive(messages, bytes);
      },
      waiting,
    );
    if (this.#over) {
      call.cancel('the subscription was closed');
      return;
    }
    this.#call = call;
    this.#target = target;
    this.#opened = true;
    this.#progress = false;
    if (this.#paused) call.pause();
    const opened = call;
    void call.ended.then((end) => this.#ended(opened, end));
  }

  #choose(): BrokerTarget {
    if (this.#plan.readIsrReplica) {
      const replicas = this.#cluster.isr(this.stream, this.partition);
      const replica = replicas[Math.floor(Math.random() * replicas.length)];
      if (replica) return replica;
    }
    const leader = this.#cluster.leader(this.stream, this.partition);
    if (leader) return leader;
    throw noLeader(this.stream, this.partition, 'no leader is known');
  }

  /** As of before the subscription, so that nothing after it can be missed. Without it the broker's own idea has to do. */
  async #learnNewest(waiting: Waiting): Promise<void> {
    const leader = this.#cluster.leader(this.stream, this.partition);
    if (leader === null) return;
    try {
      const request = { stream: this.stream, partition: this.partition };
      const timeout = Math.min(NEWEST_TIMEOUT, waiting.timeout ?? NEWEST_TIMEOUT);
      const { metadata } = await this.#cluster.callBroker('fetchPartitionMetadata', leader.id, request, {
        ...waiting,
        timeout,
      });
      if (metadata === undefined) return;
      this.#newestKnown = true;
      this.#bounds.knowNewest(metadata.newestOffset);
    } catch (error) {
      waiting.signal?.throwIfAborted();
      const context = { error, stream: this.stream, partition: this.partition };
      this.#cluster.logger.debug(context, 'newest offset is not known: the partition is paused or its leader away');
    }
  }

  async #refresh(waiting: Waiting): Promise<void> {
    try {
      await this.#cluster.refresh([this.stream], waiting);
    } catch (error) {
      waiting.signal?.throwIfAborted();
      this.#cluster.logger.debug({ error, stream: this.stream }, 'metadata refresh for a subscription failed');
    }
  }

  #receive(messages: ReceivedMessage[], bytes: number): void {
    let kept = messages;
    for (let at = 0; at < messages.length; at++) {
      const verdict = this.#bounds.judge(messages[at]!);
      if (verdict === 'deliver') {
        if (kept !== messages) kept.push(messages[at]!);
        continue;
      }
      if (kept === messages) kept = messages.slice(0, at);
      if (verdict === 'last') kept.push(messages[at]!);
      if (verdict !== 'drop') {
        this.#hand(kept, bytes);
        this.#finish();
        return;
      }
    }
    this.#hand(kept, bytes);
  }

  #hand(messages: ReceivedMessage[], bytes: number): void {
    if (messages.length === 0) return;
    this.#progress = true;
    this.#events.messages(this, messages, bytes);
  }

  #finish(): void {
    if (this.#over) return;
    this.cancel();
    this.#events.done(this);
  }

  #ended(call: DuplexStream, end: StreamEnd): void {
    if (this.#over || call !== this.#call) return;
    this.#call = null;
    if (end.code === Status.OK && this.#plan.consumer !== undefined) {
      this.#over = true;
      this.#events.revoked(this);
      return;
    }
    const error = this.#errorOf('Subscription', end);
    switch (this.#meaning('Subscription', end)) {
      case 'unavailable':
      case 'not-leader':
      case 'timeout':
      case 'overtaken':
        void this.#recover(error);
        return;
      case 'stop-reached':
        this.#reachedEnd(end, error);
        return;
      case 'end-of-readonly':
      case 'empty':
        this.#finish();
        return;
      default:
        this.#fail(error);
    }
  }

  /** A readonly partition ends a reverse read after its first message; what lies below is there for the asking. */
  #reachedEnd(end: StreamEnd, error: unknown): void {
    if (this.#plan.reverse && end.code === Status.RESOURCE_EXHAUSTED && this.#progress && !this.#bounds.exhausted)
      void this.#recover(error);
    else this.#finish();
  }

  async #recover(error: unknown): Promise<void> {
    const timeout = this.#options.resubscribeTimeout;
    const deadline = Date.now() + timeout;
    const signal = this.#cancelled.signal;
    const bounded = (): Waiting => ({ signal, timeout: Math.max(1, deadline - Date.now()) });
    try {
      if (timeout > 0) {
        await this.#refresh(bounded());
        if ((await this.#persist(deadline, bounded)) === undefined) {
          this.#recovered(error);
          return;
        }
      }
      this.#fail(error);
    } catch (failure) {
      if (!this.#over) this.#fail(isGone(failure) ? deleted(this, failure) : failure);
    }
  }

  #recovered(error: unknown): void {
    if (this.#over) return;
    const position = this.#bounds.next ?? -1n;
    this.#cluster.emit('resubscribe', { stream: this.stream, partition: this.partition, position, error });
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.failed(this, error);
  }

  #remedy(error: unknown): Remedy {
    if (error instanceof NotConfirmed) return this.#remedyOfEnd(error.end);
    if (error instanceof RpcFailure) return { retry: errorFromStatus('Subscribe', error, this.#context) };
    if (LiftbridgeError.is(error) && error.retryable) return { retry: error };
    return { give: error };
  }

  #remedyOfEnd(end: StreamEnd): Remedy {
    const error = this.#errorOf('Subscribe', end);
    if (end.code === Status.NOT_FOUND) return { missing: error };
    switch (this.#meaning('Subscribe', end)) {
      case 'unavailable':
      case 'not-leader':
      case 'timeout':
        return { retry: error };
      case 'stop-reached':
      case 'end-of-readonly':
      case 'empty':
      case 'empty-range':
        return 'done';
      case 'no-time-index':
        return this.#withoutTimeIndex(error);
      default:
        return { give: error };
    }
  }

  /** The broker's look-up fails while its newest segment is empty. What it cannot find, the messages' own times tell. */
  #withoutTimeIndex(error: LiftbridgeError): Remedy {
    const newest = this.#bounds.newest;
    if (newest === null) return { retry: error };
    if (newest < 0n) return 'done';
    this.#bounds.stopByTime(newest);
    return { retry: error };
  }

  /** A connection that broke, or a stream that was reset, says nothing about the partition. */
  #meaning(operation: 'Subscribe' | 'Subscription', end: StreamEnd): ReturnType<typeof statusMeaning> {
    if (end.code === Status.OK) return 'unavailable';
    if (end.transport && end.code !== Status.RESOURCE_EXHAUSTED) return 'unavailable';
    return statusMeaning(operation, { code: end.code, details: end.message });
  }

  #errorOf(operation: 'Subscribe' | 'Subscription', end: StreamEnd): LiftbridgeError {
    if (end.code !== Status.OK && !end.transport)
      return errorFromStatus(operation, { code: end.code, details: end.message }, this.#context);
    if (end.code === Status.RESOURCE_EXHAUSTED)
      return errorFromStatus(operation, { code: end.code, details: end.message }, this.#context);
    const why = end.code === Status.OK ? 'the broker ended it' : `${end.message} (${end.codeName})`;
    const text = `Subscription to stream "${this.stream}", partition ${this.partition} broke: ${why}.`;
    return new ConnectionError(text, { ...this.#context, operation, reason: 'lost' });
  }

  get #context(): { stream: string; partition: number; broker?: string } {
    const { stream, partition } = this;
    return this.#target === null ? { stream, partition } : { stream, partition, broker: this.#target.id };
  }
}

function isGone(error: unknown): boolean {
  return LiftbridgeError.is(error, 'NO_SUCH_PARTITION') || LiftbridgeError.is(error, 'NO_SUCH_STREAM');
}

function deleted({ stream, partition }: PartitionReader, cause: unknown): StreamDeletedError {
  const message = `Subscription to stream "${stream}", partition ${partition} ended: the cluster does not know the stream any more. Create it again, or stop reading it.`;
  return new StreamDeletedError(message, { stream, partition, operation: 'Subscription', cause });
}

function timedOut({ stream, partition }: PartitionReader, timeout: number, cause: unknown): LiftbridgeError {
  if (LiftbridgeError.is(cause, 'CONNECTION')) return cause;
  const message = `Subscribe to stream "${stream}", partition ${partition} was not confirmed within ${timeout} ms.`;
  return new TimeoutError(message, { stream, partition, operation: 'Subscribe', cause });
}
