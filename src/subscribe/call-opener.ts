import type { StepBounds } from '../async/deadline.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import type { BrokerChoice } from './broker-choice.js';
import type { PartitionView } from './partition-view.js';
import { encodeSubscribe, type ReadPlan } from './positions.js';
import type { ReadRange } from './read-range.js';
import type { ReaderCall } from './reader-call.js';
import { type Empty, type Remedy, remedyOfFailure } from './remedy.js';
import { resolveStartTime } from './resolve-start-time.js';
import type { StreamIdentity } from './stream-identity.js';
import { noLeader, noSuchStream, type Place, streamDeleted } from './subscribe-errors.js';
import { ATTEMPT_TIMEOUT_MS } from './timing.js';

/** A leader returns the ends of a partition that it has resumed; one that still does not will not do so later either. */
const MOST_BLIND_CALLS = 3;

/** The parts of a reader that its opener uses. */
export interface OpenerContext {
  readonly cluster: Cluster;
  readonly stream: string;
  readonly partition: number;
  readonly plan: ReadPlan;
  readonly range: ReadRange;
  readonly identity: StreamIdentity;
  readonly brokers: BrokerChoice;
  readonly view: PartitionView;
}

/** Opens the calls of a reader: makes one attempt at a time, and decides what follows where it fails. */
export class CallOpener {
  readonly #context: OpenerContext;
  /** Broker of the last confirmed call. */
  #brokerId: string | null = null;
  #knowsEnds = false;
  #blindCalls = 0;

  constructor(context: OpenerContext) {
    this.#context = context;
  }

  /** The partition that is read, and the broker that it was read from last. */
  get place(): Place {
    const { stream, partition } = this.#context;
    return this.#brokerId === null ? { stream, partition } : { stream, partition, broker: this.#brokerId };
  }

  /** Asks for the ends of the partition again before the next call: they may have changed. */
  forgetEnds(): void {
    this.#knowsEnds = false;
  }

  /** Opens the call that `newCall` makes for a broker. Returns it, or what to do instead. Rejects with the reason of the signal. */
  async open(newCall: (target: BrokerTarget) => ReaderCall, bounds: StepBounds): Promise<ReaderCall | Remedy> {
    const { cluster, stream, partition, identity, range } = this.#context;
    try {
      identity.adopt();
      if (identity.isReplaced) return { kind: 'fail', error: streamDeleted(this.place) };
      if (cluster.partitionCount(stream) === 0) return { kind: 'check-existence', error: noSuchStream(stream) };
      if (!this.#knowsEnds && range.needsNewest) await this.#learnEnds(bounds);
      if (range.exhausted) return { kind: 'done' };
      const call = await this.#subscribe(newCall, bounds);
      if (!this.#hasResumedBlindly()) return call;
      call.cancel('the partition is resumed');
      return { kind: 'retry', error: noLeader(stream, partition, 'it was resumed just now') };
    } catch (error) {
      bounds().signal?.throwIfAborted();
      const remedy = remedyOfFailure(error, this.place);
      return remedy.kind === 'empty' ? this.#remedyOfEmpty(remedy) : remedy;
    }
  }

  /** The followers and readers of a log that was cut back catch up soon, and so does a replica that lags. */
  #remedyOfEmpty({ error, isCutBack }: Empty): Remedy {
    const { plan, range, brokers } = this.#context;
    if (isCutBack && !plan.reverse) return { kind: 'retry', error };
    const newest = range.newest ?? -1n;
    return newest >= 0n && brokers.requireLeader() ? { kind: 'retry', error } : { kind: 'done' };
  }

  /** Asks before the call, so that nothing after it can be missed. Where the leader returns no ends, the broker decides. */
  async #learnEnds(bounds: StepBounds): Promise<void> {
    const { range, view } = this.#context;
    const ends = await view.ends(bounds());
    if (ends === null) return;
    range.knowNewest(ends.newest);
    const time = range.unresolvedTime;
    if (time !== null) {
      const readFirst = (start: Parameters<PartitionView['first']>[0]) => view.first(start, bounds());
      range.resolveTime(await resolveStartTime(readFirst, time, ends.committed));
    }
    // Only now: the next attempt begins here again when the offset of the time was not found.
    this.#knowsEnds = true;
  }

  async #subscribe(newCall: (target: BrokerTarget) => ReaderCall, bounds: StepBounds): Promise<ReaderCall> {
    const { cluster, stream, partition, plan, range, identity, brokers } = this.#context;
    const call = newCall(brokers.choose());
    const request = encodeSubscribe(stream, partition, plan, range.remaining());
    await call.open(cluster, request, { ...bounds(ATTEMPT_TIMEOUT_MS), place: this.place });
    this.#brokerId = call.target.id;
    identity.settle();
    return call;
  }

  /** A paused partition returns its ends only once a call has resumed it: that call cannot keep the promise of the range. */
  #hasResumedBlindly(): boolean {
    const { plan, range } = this.#context;
    if (!plan.resume || this.#knowsEnds || !range.needsNewest || range.delivered) return false;
    return this.#blindCalls++ < MOST_BLIND_CALLS;
  }
}
