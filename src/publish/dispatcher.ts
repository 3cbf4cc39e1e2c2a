import { setMaxListeners } from 'node:events';
import { nextTurn } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { LiftbridgeError } from '../errors.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { BrokerChoice } from './broker-choice.js';
import { BrokerResponses } from './broker-responses.js';
import { choosePartition } from './choose-partition.js';
import type { CorrelationIds } from './correlation-ids.js';
import { LeaderSearch } from './leader-search.js';
import { MetadataRefresh } from './metadata-refresh.js';
import { type PartitionQueue, type PendingPublish, StreamQueue } from './partition-queue.js';
import { PartitionSender } from './partition-sender.js';
import { closingError, isUnknownPlace, lostError, refusedError, unknownStreamError } from './publish-errors.js';
import type { ReportOutcome } from './publish-outcome.js';
import type { PublishStream, PublishStreamEvent } from './publish-stream.js';
import { PublishStreams } from './publish-streams.js';
import { lookUpStream, streamIsGone } from './stream-lookup.js';
import { LEADER_GRACE_MS } from './timing.js';

/** Publishes that are placed in one turn of the event loop once their stream is known. */
const MOST_PLACED_A_TURN = 1_024;

/** What the dispatcher takes from the publisher. */
export interface DispatcherOptions {
  readonly maxMessageBytes: number;
  readonly ids: CorrelationIds;
  /** Takes the results of publishes. */
  readonly report: ReportOutcome;
}

/** Sends publishes to brokers: looks up streams, chooses partitions, and adds each publish to the queue of its partition. */
export class Dispatcher {
  readonly #cluster: Cluster;
  readonly #report: ReportOutcome;
  readonly #streams = new Map<string, StreamQueue>();
  readonly #publishStreams: PublishStreams;
  readonly #choice: BrokerChoice;
  readonly #sender: PartitionSender;
  readonly #closing = new AbortController();
  readonly #search: LeaderSearch;
  readonly #forgetLeaders: () => void;
  readonly #responses: BrokerResponses;
  readonly #refresh: MetadataRefresh;
  /** Streams that are known to check expected offsets. */
  readonly #concurrencyControlled = new Set<string>();

  constructor(cluster: Cluster, { maxMessageBytes, ids, report }: DispatcherOptions) {
    this.#cluster = cluster;
    this.#report = report;
    this.#refresh = new MetadataRefresh(cluster);
    setMaxListeners(0, this.#closing.signal); // a few for each stream
    this.#publishStreams = new PublishStreams(
      cluster,
      { maxMessageBytes, idPrefix: ids.prefix },
      (publishStream, event) => this.#streamEvent(publishStream, event),
    );
    const owner = {
      report,
      mayRepeat: (pending: PendingPublish) =>
        pending.expectedOffset >= 0n && this.#concurrencyControlled.has(pending.stream),
      searchLeader: (queue: PartitionQueue) => this.#search.start([queue]),
      unknownPartition: (queue: PartitionQueue) => void this.#checkExistence(this.#stream(queue.stream)),
    };
    this.#responses = new BrokerResponses(
      {
        report,
        recordResponse: (pending, stored) => this.#sender.recordResponse(pending, stored),
        takeBack: (pending, refusal) => this.#takeBack(pending, refusal),
        noteConcurrencyControl: (stream) => this.noteConcurrencyControl(stream, true),
        refresh: (stream) => this.#refresh.start(stream),
      },
      ids,
    );
    this.#choice = new BrokerChoice(cluster, this.#publishStreams);
    this.#sender = new PartitionSender(cluster, owner, this.#publishStreams, this.#choice, () => this.#queues());
    this.#search = new LeaderSearch(cluster, LEADER_GRACE_MS, this.#closing.signal, (queue) =>
      this.#sender.pump(queue),
    );
    this.#forgetLeaders = cluster.on('leaderChange', ({ stream, partition }) => {
      const queue = this.#streams.get(stream)?.partitions.get(partition);
      if (queue !== undefined) this.#sender.pump(queue);
    });
  }

  /** Enqueues a publish. */
  dispatch(pending: PendingPublish): void {
    const stream = this.#stream(pending.stream);
    if (stream.waiting.empty && this.#known(stream)) this.#place(stream, pending);
    else {
      stream.waiting.push(pending);
      if (!stream.lookingUp) void this.#lookUp(stream);
    }
  }

  /** Removes a settled publish from its publish stream, and sends what waited for it. */
  remove(pending: PendingPublish): void {
    this.#sender.remove(pending);
  }

  /** Records that a publish had no response within its timeout. */
  recordTimeout(pending: PendingPublish): void {
    this.#sender.recordTimeout(pending);
  }

  /** Refreshes the metadata of a stream to which a publish failed. */
  refresh(stream: string): void {
    this.#refresh.start(stream);
  }

  /** Records whether the stream checks expected offsets: a repeated publish that has one cannot be stored twice then. */
  noteConcurrencyControl(stream: string, controlled: boolean): void {
    if (controlled) this.#concurrencyControlled.add(stream);
    else this.#concurrencyControlled.delete(stream);
  }

  /** Starts nothing that only later publishes would need. */
  beginClose(): void {
    this.#refresh.stop();
  }

  /** Ends all publish streams: acks may still come until `deadline`. Resolves when every stream has ended. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    this.#forgetLeaders();
    this.#sender.stop();
    await this.#publishStreams.close(deadline);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  *#queues(): Generator<PartitionQueue> {
    for (const { partitions } of this.#streams.values()) yield* partitions.values();
  }

  #stream(name: string): StreamQueue {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new StreamQueue(name);
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #known(stream: StreamQueue): boolean {
    if (stream.version !== this.#cluster.version) {
      stream.version = this.#cluster.version;
      stream.count = this.#cluster.partitionCount(stream.name);
    }
    return stream.count > 0;
  }

  /** A recovering broker does not know all streams and partitions that exist. */
  #mayBeStoredLater(stream: StreamQueue, { partition }: PendingPublish, refusal: LiftbridgeError): boolean {
    if (!isUnknownPlace(refusal)) return refusal.retryable;
    return this.#known(stream) && partition < stream.count;
  }

  async #lookUp(stream: StreamQueue): Promise<void> {
    stream.lookingUp = true;
    await lookUpStream(this.#cluster, stream.name, {
      wanted: () => stream.waiting.peek() !== null,
      failed: (error) => this.#lookUpFailed(stream, error),
      signal: this.#closing.signal,
    });
    const known = this.#known(stream);
    let placed = 0;
    for (let next = stream.waiting.peek(); next !== null; next = stream.waiting.peek()) {
      stream.waiting.shift();
      if (!known && this.#closed) this.#fail(next, closingError(next));
      else this.#place(stream, next);
      if (++placed % MOST_PLACED_A_TURN === 0) await nextTurn();
    }
    stream.lookingUp = false;
    if (!known && stream.partitions.size === 0) this.#streams.delete(stream.name);
  }

  /** A failed function of the application was tried again already, so its publishes fail and do not wait longer. */
  #lookUpFailed(stream: StreamQueue, error: unknown): void {
    if (LiftbridgeError.is(error, 'HANDLER_FAILED'))
      this.#report({
        kind: 'all-failed',
        pendings: stream.waiting.clear(),
        errorOf: (pending) => refusedError(pending, error),
      });
    else recordFailure(stream.waiting.peek(), error);
  }

  /** Publishes to a stream that is missing in the metadata are sent, unless a partitioner needs the number of partitions. */
  #place(stream: StreamQueue, pending: PendingPublish): void {
    if (stream.count === 0 && pending.fixedPartition === null && pending.partitioner !== null) {
      this.#fail(pending, unknownStreamError(stream.name));
      return;
    }
    try {
      pending.partition = pending.fixedPartition ?? choosePartition(pending, stream.count);
    } catch (error) {
      this.#fail(pending, error);
      return;
    }
    const queue = stream.queue(pending.partition);
    pending.queue = queue;
    this.#sender.submit(queue, pending);
  }

  #fail(pending: PendingPublish, error: unknown): void {
    this.#report({ kind: 'failed', pending, error });
  }

  /** Checks whether a stream that a broker does not know is gone. Its publishes fail then. */
  async #checkExistence(stream: StreamQueue): Promise<void> {
    if (stream.checkingExistence) return;
    stream.checkingExistence = true;
    const gone = await streamIsGone(this.#cluster, stream.name, this.#closing.signal);
    stream.checkingExistence = false;
    if (!gone || this.#closed) return;
    stream.version = -1;
    for (const queue of stream.partitions.values())
      this.#sender.failWaiting(queue, () => unknownStreamError(stream.name));
  }

  #streamEvent(publishStream: PublishStream<PendingPublish>, event: PublishStreamEvent<PendingPublish>): void {
    switch (event.kind) {
      case 'response':
        this.#responses.handle(publishStream, event);
        return;
      case 'written':
        this.#report(event);
        return;
      case 'settled':
        this.#publishStreamSettled(publishStream);
        return;
      case 'ended':
        this.#publishStreamEnded(publishStream, event.end, event.lost);
    }
  }

  /**
   * Takes back a publish that a broker refused temporarily: the broker is recovering, or has lost NATS. False when the refusal
   * is final.
   */
  #takeBack(pending: PendingPublish, refusal: LiftbridgeError): boolean {
    if (this.#closed) return false;
    const stream = this.#stream(pending.stream);
    if (!this.#mayBeStoredLater(stream, pending, refusal)) return false;
    this.#sender.takeBack(pending, refusal);
    if (isUnknownPlace(refusal)) void this.#checkExistence(stream);
    this.#search.start([pending.queue!]);
    return true;
  }

  #publishStreamSettled(publishStream: PublishStream<PendingPublish>): void {
    const queues = this.#choice.takeWaiting(publishStream);
    for (const queue of queues) queue.version = -1;
    if (!publishStream.usable) this.#lostBroker(queues, publishStream.lastError);
    for (const queue of queues) this.#sender.pump(queue);
  }

  #publishStreamEnded(
    publishStream: PublishStream<PendingPublish>,
    end: StreamEnd,
    lost: readonly PendingPublish[],
  ): void {
    this.#publishStreams.remove(publishStream);
    const queues = new Set(this.#choice.takeWaiting(publishStream));
    for (const { queue } of lost) queues.add(queue!);
    this.#sender.takeBackLost(
      [...this.#queues()].filter((queue) => queue.publishStream === publishStream),
      lost,
      publishStream,
      end,
    );
    this.#lostBroker([...queues], lostError(publishStream.target, end, null));
    const { handlerFailure } = publishStream;
    publishStream.handlerFailure = null;
    if (handlerFailure !== null)
      for (const queue of queues) this.#sender.failWaiting(queue, (pending) => refusedError(pending, handlerFailure));
    for (const queue of queues) this.#sender.pump(queue);
  }

  /** The partitions may have other leaders now. */
  #lostBroker(queues: readonly PartitionQueue[], error: unknown): void {
    if (this.#closed) return;
    for (const queue of queues) recordFailure(queue.waiting.peek(), error);
    this.#search.start(queues);
  }
}

function recordFailure(pending: PendingPublish | null, error: unknown): void {
  if (pending !== null) pending.lastError = error;
}
