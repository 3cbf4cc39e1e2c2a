import { backoffDelay } from '../async/backoff.js';
import { monotonicNow } from '../async/clock.js';
import { boundsUntil, type StepBounds, type Waiting } from '../async/deadline.js';
import { sleep } from '../async/sleep.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import { excerpt } from '../errors/quote.js';
import { LiftbridgeError } from '../errors.js';
import { Status } from '../transport/status.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { BrokerChoice } from './broker-choice.js';
import { CallOpener } from './call-opener.js';
import { IdleProbe } from './idle-probe.js';
import { PartitionView } from './partition-view.js';
import type { ReadPlan } from './positions.js';
import { RangeOutlook } from './range-outlook.js';
import { ReadRange } from './read-range.js';
import { ReaderCall } from './reader-call.js';
import type { ReaderEvents, ReaderOptions } from './reader-contract.js';
import { remedyOfEnd } from './remedy.js';
import { StreamIdentity } from './stream-identity.js';
import { lookUpPartition } from './stream-lookup.js';
import { noLeader, noReverse, notConfirmed, type Place, seemsUnknown, streamDeleted } from './subscribe-errors.js';
import { ATTEMPT_TIMEOUT_MS, HEALTHY_AFTER_MS, RESUBSCRIBE_BACKOFF } from './timing.js';

const CLOSED = 'the subscription was closed';

/** Reads one partition over successive Subscribe calls, without gap and without duplicate. */
export class PartitionReader {
  readonly #plan: ReadPlan;
  readonly #range: ReadRange;
  readonly #identity: StreamIdentity;
  readonly #opener: CallOpener;
  readonly #outlook: RangeOutlook;
  readonly #brokers: BrokerChoice;
  readonly #events: ReaderEvents;
  readonly #options: ReaderOptions;
  readonly #cluster: Cluster;
  readonly #cancelled = new AbortController();
  readonly #idleProbe = new IdleProbe(() => this.#probeIdle());
  /** The confirmed call; null while there is none. */
  #call: ReaderCall | null = null;
  /** Start of the present trouble, as of `monotonicNow()`; null while messages come. */
  #brokenSince: number | null = null;
  #failures = 0;
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
    this.#brokers = new BrokerChoice(cluster, stream, partition, plan.readIsrReplica);
    const view = new PartitionView(cluster, stream, partition, plan.resume);
    this.#outlook = new RangeOutlook(view, plan);
    const [range, identity, brokers] = [this.#range, this.#identity, this.#brokers];
    this.#opener = new CallOpener({ cluster, stream, partition, plan, range, identity, brokers, view });
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
    const bounds = boundsUntil(deadline, waiting.signal);
    try {
      await lookUpPartition(this.#cluster, this.stream, this.partition, bounds());
      this.#identity.adopt();
      await this.#resolveCursor(bounds());
      const failure = await this.#connect(deadline, bounds);
      if (failure !== null) throw notConfirmed(this.#place, timeout, failure);
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

  /** Ends the reader without an event; the call is cancelled at the broker. */
  cancel(): void {
    this.#over = true;
    this.#idleProbe.stop();
    this.#cancelled.abort(new Error(CLOSED));
    this.#drop(CLOSED);
  }

  /** Compares with fresh metadata: a broker that no longer serves the partition may keep a call open and send nothing new. */
  metadataChanged(): void {
    const call = this.#call;
    if (call === null) return;
    if (this.#identity.isReplaced) {
      this.#fail(streamDeleted(this.#place));
      return;
    }
    const serving = this.#brokers.candidates;
    if (serving.length === 0 || serving.some(({ id }) => id === call.target.id)) return;
    const to = serving.map(({ id }) => id).join(', ');
    this.#drop('the partition has moved');
    void this.#recover(call, noLeader(this.stream, this.partition, `it is served by broker ${excerpt(to)} now`));
  }

  async #resolveCursor(waiting: Waiting): Promise<void> {
    const { start } = this.#plan;
    if (start.at !== 'cursor') return;
    const offset = await this.#options.cursors.fetch(start.cursor, this.stream, this.partition, waiting);
    this.#range.startAt(offset < 0n ? { at: 'earliest' } : { at: 'offset', offset: offset + 1n });
  }

  #newCall(target: BrokerTarget): ReaderCall {
    const call: ReaderCall = new ReaderCall(target, this.#range, {
      activity: () => this.#idleProbe.noteActivity(),
      messages: (messages, bytes) => {
        if (!this.#over) this.#events.messages(messages, bytes);
      },
      complete: (why) => {
        if (why === 'ascending') this.#fail(noReverse(this.#place));
        else this.#finish();
      },
      ended: (end) => this.#ended(call, end),
    });
    return call;
  }

  #use(call: ReaderCall): void {
    if (this.#over) {
      call.cancel(CLOSED);
      return;
    }
    this.#call = call;
    if (this.#paused) call.pause();
    if (this.#plan.reverse || this.#range.last !== null) this.#idleProbe.start();
    call.watch();
  }

  /** Tries until a call is open, or there is nothing to read. Returns the last failure when the time is up, else null. */
  async #connect(deadline: number, bounds: StepBounds): Promise<unknown> {
    let failure: unknown = null;
    for (let attempt = 1; ; attempt++) {
      const isShort = deadline - monotonicNow() < ATTEMPT_TIMEOUT_MS;
      const remedy = await this.#opener.open((target) => this.#newCall(target), bounds);
      if (remedy instanceof ReaderCall) this.#use(remedy);
      if (remedy instanceof ReaderCall || this.#over) return null;
      if (remedy.kind === 'done') {
        this.#finish();
        return null;
      }
      if (remedy.kind === 'fail') throw remedy.error;
      const { error } = remedy;
      if (remedy.kind === 'check-existence') await this.#identity.check(error, bounds(ATTEMPT_TIMEOUT_MS));
      const delay = backoffDelay(++this.#failures, RESUBSCRIBE_BACKOFF);
      // An attempt that the deadline cut short tells less than the failure before it.
      if (failure === null || !isShort || !LiftbridgeError.is(error, 'TIMEOUT')) failure = error;
      if (monotonicNow() + delay >= deadline) return failure;
      this.#cluster.emit('retry', { operation: 'Subscribe', attempt, delay, error });
      await sleep(delay, bounds().signal);
      await this.#refresh(bounds(ATTEMPT_TIMEOUT_MS));
    }
  }

  #drop(reason: string): void {
    const call = this.#call;
    this.#call = null;
    call?.cancel(reason);
  }

  async #refresh(waiting: Waiting): Promise<void> {
    try {
      await this.#cluster.refresh([this.stream], waiting);
    } catch (error) {
      waiting.signal?.throwIfAborted();
      this.#cluster.logger.debug({ err: error, stream: this.stream }, 'metadata refresh for a subscription failed');
    }
  }

  #finish(): void {
    if (this.#over) return;
    this.cancel();
    this.#events.done('complete');
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.cancel();
    this.#events.failed(error);
  }

  #ended(call: ReaderCall, end: StreamEnd): void {
    this.#call = null;
    if (end.code === Status.OK && this.#plan.consumer !== undefined) {
      this.#over = true;
      this.#events.done('revoked');
      return;
    }
    const remedy = remedyOfEnd(end, this.#place);
    switch (remedy.kind) {
      case 'retry':
        void this.#recover(call, remedy.error);
        return;
      case 'check-existence':
        void this.#checkDeleted(call, remedy.error);
        return;
      case 'stop-reached':
        // A readonly partition ends a reverse read after its first message; a new call reads the rest.
        if (this.#plan.reverse && end.code === Status.RESOURCE_EXHAUSTED && call.hasDelivered && !this.#range.exhausted)
          void this.#recover(call, remedy.error, false);
        else this.#finish();
        return;
      case 'fail':
        this.#fail(remedy.error);
        return;
      default:
        this.#finish();
    }
  }

  async #checkDeleted(call: ReaderCall, error: unknown): Promise<void> {
    try {
      const waiting = { signal: this.#cancelled.signal, timeout: ATTEMPT_TIMEOUT_MS };
      if (await this.#identity.isDeleted(call.target.id, waiting)) this.#fail(error);
      else await this.#recover(call, error);
    } catch (failure) {
      // Only when the subscription or the client is closed, which ends the reader in any case.
      this.#fail(failure);
    }
  }

  /** Opens the next call. `error`: why the last one ended; `isBroken`: whether anything was wrong with it. */
  async #recover(call: ReaderCall, error: unknown, isBroken = true): Promise<void> {
    this.#idleProbe.stop();
    const now = monotonicNow();
    if (call.hasDelivered || call.age >= HEALTHY_AFTER_MS) {
      this.#brokenSince = null;
      this.#failures = 0;
    }
    this.#brokenSince ??= now;
    const deadline = this.#brokenSince + this.#options.resubscribeTimeout;
    const bounds = boundsUntil(deadline, this.#cancelled.signal);
    try {
      if (isBroken) {
        if (now >= deadline) throw error;
        this.#opener.forgetEnds();
        await this.#refresh(bounds(ATTEMPT_TIMEOUT_MS));
      }
      const failure = await this.#connect(deadline, bounds);
      if (failure !== null) throw seemsUnknown(failure) ? failure : error;
      if (isBroken) this.#reportRecovery(error);
    } catch (failure) {
      this.#fail(seemsUnknown(failure) ? streamDeleted(this.#place, failure) : failure);
    }
  }

  #reportRecovery(error: unknown): void {
    if (this.#over) return;
    const position = this.#range.next ?? -1n;
    this.#cluster.emit('resubscribe', { stream: this.stream, partition: this.partition, position, error });
  }

  /** A bounded read was idle for a while: finds out whether anything is left to come. */
  async #probeIdle(): Promise<void> {
    const call = this.#call;
    const { next } = this.#range;
    if (call === null || this.#paused || next === null) return;
    try {
      const isOver = await this.#outlook.isOver(next, this.#range.last ?? next, this.#cancelled.signal);
      if (!isOver || call !== this.#call || this.#range.next !== next) return;
      if (this.#plan.reverse) this.#fail(noReverse(this.#place));
      else this.#finish();
    } catch (error) {
      // The broker cannot be asked: if it does not come back, the call itself breaks.
      this.#cluster.logger.debug({ err: error, ...this.#place }, 'looking at the rest of a range failed');
    }
  }

  get #place(): Place {
    return this.#opener.place;
  }
}
