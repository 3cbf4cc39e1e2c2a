import { monotonicNow } from '../async/clock.js';
import type { BrokerTarget, Cluster, Waiting } from '../cluster/contract.js';
import { excerpt } from '../errors/quote.js';
import { LiftbridgeError } from '../errors.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import type { DuplexStream } from '../transport/duplex.js';
import { Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { noLeader, noSuchStream } from './errors.js';
import { IdleProbe } from './idle-probe.js';
import { PartitionView } from './partition-view.js';
import { encodeSubscribe, type ReadPlan } from './positions.js';
import { RangeOutlook } from './range-outlook.js';
import { ReadRange } from './read-range.js';
import type { ReaderEvents, ReaderOptions } from './reader-contract.js';
import {
  errorOfEnd,
  meaningOfEnd,
  noReverse,
  notConfirmed,
  type Remedy,
  remedyOf,
  streamDeleted,
} from './reader-errors.js';
import { type Bounded, boundsUntil, isGone, pause } from './reader-steps.js';
import { resolveStartTime } from './resolve-start-time.js';
import { StreamIdentity } from './stream-identity.js';
import { lookUpPartition } from './stream-lookup.js';
import { NotConfirmed, openSubscribeCall } from './subscribe-call.js';

const FIRST_DELAY = 10;
const LONGEST_DELAY = 1_000;
/** One attempt has so long, so that a broker that says nothing leaves time for its successor. */
const ATTEMPT = 3_000;
/** A leader that has resumed a partition tells its ends from then on; one that refuses to will do so again. */
const BLIND_CALLS = 3;
/** A call that stood for so long was well: when it breaks, that is a new trouble. */
const WELL_AFTER = 5_000;

/** Reads one partition, over as many Subscribe calls as it takes, without gap and without duplicate. */
export class PartitionReader {
  readonly #plan: ReadPlan;
  readonly #range: ReadRange;
  readonly #identity: StreamIdentity;
  readonly #view: PartitionView;
  readonly #outlook: RangeOutlook;
  readonly #events: ReaderEvents;
  readonly #options: ReaderOptions;
  readonly #cluster: Cluster;
  readonly #cancelled = new AbortController();
  readonly #idleProbe = new IdleProbe(() => this.#probeIdle());
  #call: DuplexStream | null = null;
  #target: BrokerTarget | null = null;
  #openedAt = 0;
  #newestKnown = false;
  /** A replica had nothing to read in reverse: only the leader may say so. */
  #leaderOnly = false;
  /** Whether the present call has delivered anything. */
  #progress = false;
  /** Since when it has been broken without a message in between, as of `monotonicNow()`. */
  #brokenSince: number | null = null;
  #delay = FIRST_DELAY;
  #blindCalls = 0;
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
    this.#range = new ReadRange(plan);
    this.#identity = new StreamIdentity(cluster, stream, partition);
    this.#view = new PartitionView(cluster, stream, partition, plan.resume);
    this.#outlook = new RangeOutlook(this.#view, plan);
  }

  /** The next offset that it expects to receive; null while only the broker can tell. */
  get position(): bigint | null {
    return this.#range.next;
  }

  /** True once it will deliver nothing more. */
  get over(): boolean {
    return this.#over;
  }

  /** Resolves when a broker has confirmed the subscription, or there is nothing to read. */
  async open(waiting: Waiting): Promise<void> {
    const timeout = waiting.timeout ?? this.#options.requestTimeout;
    const deadline = monotonicNow() + timeout;
    const bounded = boundsUntil(deadline, waiting.signal);
    try {
      await lookUpPartition(this.#cluster, this.stream, this.partition, bounded());
      this.#identity.adopt();
      await this.#resolveCursor(bounded());
      const last = await this.#persist(deadline, bounded);
      if (last !== undefined) throw notConfirmed(this.#place, timeout, last);
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
    this.#idleProbe.stop();
    this.#cancelled.abort(new Error('the subscription was closed'));
    this.#call?.cancel('the subscription was closed');
    this.#call = null;
  }

  /** Compares with fresh metadata: a broker that no longer serves the partition may keep a call open and tell nothing new. */
  metadataChanged(): void {
    if (this.#call === null) return;
    if (this.#identity.isReplaced) {
      this.#fail(streamDeleted(this.#place));
      return;
    }
    const serving = this.#candidates;
    if (serving.length === 0 || serving.some(({ id }) => id === this.#target?.id)) return;
    const to = serving.map(({ id }) => id).join(', ');
    this.#drop('the partition has moved');
    void this.#recover(noLeader(this.stream, this.partition, `it is served by broker ${excerpt(to)} now`));
  }

  async #resolveCursor(waiting: Waiting): Promise<void> {
    const { start } = this.#plan;
    if (start.at !== 'cursor') return;
    const offset = await this.#options.fetchCursor(start.cursor, this.stream, this.partition, waiting);
    this.#range.startAt(offset < 0n ? { at: 'earliest' } : { at: 'offset', offset: offset + 1n });
  }

  /** Tries until a call stands, or there is nothing to read. Answers the last error when the time is up. */
  async #persist(deadline: number, bounded: Bounded): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const remedy = await this.#attempt(bounded);
      if (remedy === null || this.#over) return undefined;
      if (remedy === 'done') {
        this.#finish();
        return undefined;
      }
      if ('give' in remedy) throw remedy.give;
      if ('missing' in remedy) await this.#identity.check(remedy.missing, bounded(ATTEMPT));
      const error = 'missing' in remedy ? remedy.missing : remedy.retry;
      const delay = this.#delay;
      this.#delay = Math.min(LONGEST_DELAY, delay * 2);
      if (monotonicNow() + delay >= deadline) return error;
      this.#cluster.emit('retry', { operation: 'Subscribe', attempt, delay, error });
      await pause(delay, bounded().signal);
      await this.#refresh(bounded(ATTEMPT));
    }
  }

  async #attempt(bounded: Bounded): Promise<Exclude<Remedy, 'empty' | 'no-time-index'> | null> {
    try {
      this.#identity.adopt();
      if (this.#identity.isReplaced) return { give: streamDeleted(this.#place) };
      if (this.#cluster.partitionCount(this.stream) === 0) return { missing: noSuchStream(this.stream) };
      if (!this.#newestKnown && this.#range.needsNewest) await this.#learnEnds(bounded);
      if (this.#range.exhausted) return 'done';
      await this.#subscribe(bounded(ATTEMPT));
      return this.#resumedBlindly()
        ? { retry: noLeader(this.stream, this.partition, 'it was resumed just now') }
        : null;
    } catch (error) {
      bounded().signal?.throwIfAborted();
      const remedy = remedyOf(error, this.#place);
      if (remedy === 'empty') return this.#isCutBack(error) || this.#replicaLags() ? { retry: error } : 'done';
      // A look-up by time fails on an empty partition, and while its newest segment is empty.
      return remedy === 'no-time-index' ? { retry: error } : remedy;
    }
  }

  /** As of before the call, so that nothing after it can be missed. Where nobody tells, the broker's own idea has to do. */
  async #learnEnds(bounded: Bounded): Promise<void> {
    const ends = await this.#view.ends(bounded());
    if (ends === null) return;
    this.#newestKnown = true;
    this.#range.knowNewest(ends.newest);
    const time = this.#range.unresolvedTime;
    if (time !== null)
      this.#range.resolveTime(
        await resolveStartTime((start) => this.#view.first(start, bounded()), time, ends.committed),
      );
  }

  async #subscribe(waiting: Waiting): Promise<void> {
    const target = this.#choose();
    const request = encodeSubscribe(this.stream, this.partition, this.#plan, this.#range.remaining());
    let call: DuplexStream | null = null;
    this.#progress = false;
    const current = (): boolean => !this.#over && (call === null || call === this.#call);
    call = await openSubscribeCall(
      this.#cluster,
      target,
      request,
      (messages, bytes) => {
        if (current()) this.#receive(messages, bytes);
      },
      { ...waiting, place: this.#place },
    );
    if (this.#over) {
      call.cancel('the subscription was closed');
      return;
    }
    const opened = call;
    this.#call = opened;
    this.#target = target;
    this.#openedAt = monotonicNow();
    this.#identity.settle();
    if (this.#paused) opened.pause();
    if (this.#plan.reverse || this.#range.last !== null) this.#idleProbe.start();
    void opened.ended.then((end) => this.#ended(opened, end));
  }

  /** A paused partition tells its ends only once a call has resumed it: that call knows nothing to keep its promise by. */
  #resumedBlindly(): boolean {
    if (!this.#plan.resume || this.#newestKnown || !this.#range.needsNewest || this.#range.delivered) return false;
    if (this.#blindCalls++ >= BLIND_CALLS) return false;
    this.#drop('the partition is resumed');
    return true;
  }

  #drop(reason: string): void {
    const call = this.#call;
    this.#call = null;
    call?.cancel(reason);
  }

  get #candidates(): readonly BrokerTarget[] {
    if (this.#plan.readIsrReplica && !this.#leaderOnly) {
      const replicas = this.#cluster.isr(this.stream, this.partition);
      if (replicas.length > 0) return replicas;
    }
    const leader = this.#cluster.leader(this.stream, this.partition);
    return leader === null ? [] : [leader];
  }

  #choose(): BrokerTarget {
    const candidates = this.#candidates;
    const target = candidates[Math.floor(Math.random() * candidates.length)];
    if (target === undefined) throw noLeader(this.stream, this.partition, 'no leader is known');
    return target;
  }

  /** Whether a forward read begins behind the end of a log that was cut back: its followers and its readers catch up soon. */
  #isCutBack(error: unknown): boolean {
    return !this.#plan.reverse && error instanceof NotConfirmed && error.end.code === Status.INTERNAL;
  }

  /** Whether a replica that has nothing yet was asked for what the leader has. */
  #replicaLags(): boolean {
    if (!this.#plan.readIsrReplica || this.#leaderOnly || (this.#range.newest ?? -1n) < 0n) return false;
    this.#leaderOnly = true;
    return true;
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
    this.#idleProbe.noteActivity();
    let kept = messages;
    for (let at = 0; at < messages.length; at++) {
      const verdict = this.#range.judge(messages[at]!);
      if (verdict === 'deliver') {
        if (kept !== messages) kept.push(messages[at]!);
        continue;
      }
      if (kept === messages) kept = messages.slice(0, at);
      if (verdict === 'drop') continue;
      if (verdict === 'last') kept.push(messages[at]!);
      this.#hand(kept, bytes);
      if (verdict === 'ascending') this.#fail(noReverse(this.#place));
      else this.#finish();
      return;
    }
    this.#hand(kept, bytes);
  }

  #hand(messages: ReceivedMessage[], bytes: number): void {
    if (messages.length === 0) return;
    this.#progress = true;
    this.#events.messages(messages, bytes);
  }

  #finish(): void {
    if (this.#over) return;
    this.cancel();
    this.#events.done();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.cancel();
    this.#events.failed(error);
  }

  #ended(call: DuplexStream, end: StreamEnd): void {
    if (this.#over || call !== this.#call) return;
    this.#call = null;
    if (end.code === Status.OK && this.#plan.consumer !== undefined) {
      this.#over = true;
      this.#events.revoked();
      return;
    }
    const error = errorOfEnd('Subscription', end, this.#place);
    if (LiftbridgeError.is(error, 'STREAM_DELETED')) {
      void this.#deleted(error);
      return;
    }
    switch (meaningOfEnd('Subscription', end)) {
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

  async #deleted(error: LiftbridgeError): Promise<void> {
    try {
      const waiting = { signal: this.#cancelled.signal, timeout: ATTEMPT };
      if (await this.#identity.isDeleted(this.#target?.id, waiting)) this.#fail(error);
      else await this.#recover(error);
    } catch (failure) {
      // Only when the subscription or the client is closed, which ends the reader in any case.
      this.#fail(failure);
    }
  }

  /** A readonly partition ends a reverse read after its first message; what lies below is there for the asking. */
  #reachedEnd(end: StreamEnd, error: unknown): void {
    if (this.#plan.reverse && end.code === Status.RESOURCE_EXHAUSTED && this.#progress && !this.#range.exhausted)
      void this.#recover(error, false);
    else this.#finish();
  }

  async #recover(error: unknown, broken = true): Promise<void> {
    this.#idleProbe.stop();
    const now = monotonicNow();
    if (this.#progress || now - this.#openedAt >= WELL_AFTER) {
      this.#brokenSince = null;
      this.#delay = FIRST_DELAY;
    }
    this.#brokenSince ??= now;
    const deadline = this.#brokenSince + this.#options.resubscribeTimeout;
    const bounded = boundsUntil(deadline, this.#cancelled.signal);
    try {
      if (broken) {
        if (now >= deadline) throw error;
        this.#newestKnown = false;
        await this.#refresh(bounded(ATTEMPT));
      }
      const last = await this.#persist(deadline, bounded);
      if (last !== undefined) throw isGone(last) ? last : error;
      if (broken) this.#recovered(error);
    } catch (failure) {
      this.#fail(isGone(failure) ? streamDeleted(this.#place, failure) : failure);
    }
  }

  #recovered(error: unknown): void {
    if (this.#over) return;
    const position = this.#range.next ?? -1n;
    this.#cluster.emit('resubscribe', { stream: this.stream, partition: this.partition, position, error });
  }

  /** Nothing came for a while although the read has an end: perhaps there is nothing left to come. */
  async #probeIdle(): Promise<void> {
    const call = this.#call;
    const { next } = this.#range;
    if (call === null || this.#paused || next === null) return;
    try {
      const isOver = await this.#outlook.isOver(next, this.#range.last ?? next, this.#cancelled.signal);
      if (!isOver || call !== this.#call || this.#over || this.#range.next !== next) return;
      if (this.#plan.reverse) this.#fail(noReverse(this.#place));
      else this.#finish();
    } catch (error) {
      // A broker that cannot be asked: if it does not come back, the call itself will break.
      this.#cluster.logger.debug({ error, ...this.#place }, 'looking at the rest of a range failed');
    }
  }

  get #place(): { stream: string; partition: number; broker?: string } {
    const { stream, partition } = this;
    return this.#target === null ? { stream, partition } : { stream, partition, broker: this.#target.id };
  }
}
