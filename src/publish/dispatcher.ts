import { setMaxListeners } from 'node:events';
import { nextTurn } from '../async/sleep.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { LiftbridgeError } from '../errors.js';
import type { PublishResponse } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { choosePartition } from './choose-partition.js';
import { LaneTraffic } from './lane-traffic.js';
import { type PartitionLane, StreamLane } from './lanes.js';
import { LeaderSearch } from './leader-search.js';
import { lookUpStream, streamIsGone } from './lookup.js';
import type { Pending } from './pending.js';
import { closing, isUnknownPlace, lostError, refusedError, unknownStream } from './publish-errors.js';
import type { Route, RouteSettings } from './route.js';
import { LEADER_GRACE_MS, RouteChoice } from './route-choice.js';
import { Routes } from './routes.js';

/** Publishes that are placed in one turn of the event loop once their stream is known. */
const PLACED_A_TURN = 1_024;

/** What the dispatcher asks of the publisher. */
export interface Settling {
  readonly routes: RouteSettings;
  /** Ends a publish with an error, or without one where no ack is to come. */
  settle(pending: Pending, error: unknown): void;
  /** Ends any number of publishes without blocking the event loop; nothing is done with them from now on. */
  settleAll(pendings: readonly Pending[], errorOf: (pending: Pending) => unknown): void;
  response(route: Route, response: PublishResponse, pending: Pending | null): void;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: Pending): boolean;
}

/** Brings publishes to brokers: looks up streams, chooses partitions, and hands each publish to the lane of its partition. */
export class Dispatcher {
  readonly #cluster: Cluster;
  readonly #publisher: Settling;
  readonly #streams = new Map<string, StreamLane>();
  readonly #routes: Routes;
  readonly #traffic: LaneTraffic;
  readonly #closing = new AbortController();
  readonly #search: LeaderSearch;
  readonly #forgetLeaders: () => void;

  constructor(cluster: Cluster, publisher: Settling) {
    this.#cluster = cluster;
    this.#publisher = publisher;
    setMaxListeners(0, this.#closing.signal); // a few a stream
    this.#routes = new Routes(cluster, publisher.routes, {
      settled: (route) => this.#routeSettled(route),
      response: publisher.response,
      written: (pendings) => {
        for (const pending of pendings) publisher.settle(pending, null);
      },
      ended: (route, end, lost) => this.#routeEnded(route, end, lost),
    });
    const owner = {
      settle: publisher.settle,
      settleAll: publisher.settleAll,
      mayRepeat: publisher.mayRepeat,
      searchLeader: (lane: PartitionLane) => this.#search.start([lane]),
      doubt: (lane: PartitionLane) => void this.#doubt(this.#stream(lane.stream)),
    };
    const choice = new RouteChoice(cluster, this.#routes);
    this.#traffic = new LaneTraffic(cluster, owner, this.#routes, choice, () => this.#lanes());
    this.#search = new LeaderSearch(cluster, LEADER_GRACE_MS, this.#closing.signal, (lane) => this.#traffic.pump(lane));
    this.#forgetLeaders = cluster.on('leaderChange', ({ stream, partition }) => {
      const lane = this.#streams.get(stream)?.partitions.get(partition);
      if (lane !== undefined) this.#traffic.pump(lane);
    });
  }

  /** Takes a publish on its way. */
  dispatch(pending: Pending): void {
    const stream = this.#stream(pending.stream);
    if (stream.waiting.empty && this.#known(stream)) this.#place(stream, pending);
    else {
      stream.waiting.push(pending);
      if (!stream.lookingUp) void this.#lookUp(stream);
    }
  }

  /** Takes a publish that is settled off its route; what waited for it goes on. */
  finished(pending: Pending): void {
    this.#traffic.finished(pending);
  }

  /** Notes that a broker has acknowledged a publish (`stored`), or has refused it for good. */
  answered(pending: Pending, stored: boolean): void {
    this.#traffic.answered(pending, stored);
  }

  /** Notes that a publish was not answered within its timeout. */
  expired(pending: Pending): void {
    this.#traffic.expired(pending);
  }

  /**
   * Takes a publish back that a broker refused although it may be stored later: the broker is recovering, or has lost NATS.
   * False for a refusal that is final.
   */
  takeBack(pending: Pending, refusal: LiftbridgeError): boolean {
    if (this.#closed) return false;
    const stream = this.#stream(pending.stream);
    if (!this.#mayBeStoredLater(stream, pending, refusal)) return false;
    this.#traffic.takeBack(pending, refusal);
    if (isUnknownPlace(refusal)) void this.#doubt(stream);
    this.#search.start([pending.lane!]);
    return true;
  }

  /** Ends all routes: acks may still come until `deadline`. Resolves when every stream has ended. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    this.#forgetLeaders();
    this.#traffic.stop();
    await this.#routes.close(deadline);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  *#lanes(): Generator<PartitionLane> {
    for (const { partitions } of this.#streams.values()) yield* partitions.values();
  }

  #stream(name: string): StreamLane {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new StreamLane(name);
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #known(stream: StreamLane): boolean {
    if (stream.version !== this.#cluster.version) {
      stream.version = this.#cluster.version;
      stream.count = this.#cluster.partitionCount(stream.name);
    }
    return stream.count > 0;
  }

  /** A broker that recovers does not know streams and partitions that this client has seen. */
  #mayBeStoredLater(stream: StreamLane, { partition }: Pending, refusal: LiftbridgeError): boolean {
    if (!isUnknownPlace(refusal)) return refusal.retryable;
    return this.#known(stream) && partition < stream.count;
  }

  async #lookUp(stream: StreamLane): Promise<void> {
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
      if (!known && this.#closed) this.#publisher.settle(next, closing(next));
      else this.#place(stream, next);
      if (++placed % PLACED_A_TURN === 0) await nextTurn();
    }
    stream.lookingUp = false;
    if (!known && stream.partitions.size === 0) this.#streams.delete(stream.name);
  }

  /** Where a function of the application fails, waiting does not help: the call was tried again already. */
  #lookUpFailed(stream: StreamLane, error: unknown): void {
    if (LiftbridgeError.is(error, 'HANDLER_FAILED'))
      this.#publisher.settleAll(stream.waiting.clear(), (pending) => refusedError(pending, error));
    else noteFailure(stream.waiting.peek(), error);
  }

  /** A stream that metadata does not show is left to the brokers to refuse, unless its partitions have to be counted. */
  #place(stream: StreamLane, pending: Pending): void {
    if (stream.count === 0 && pending.fixedPartition === null && pending.partitioner !== null) {
      this.#publisher.settle(pending, unknownStream(stream.name));
      return;
    }
    try {
      pending.partition = pending.fixedPartition ?? choosePartition(pending, stream.count);
    } catch (error) {
      this.#publisher.settle(pending, error);
      return;
    }
    const lane = stream.lane(pending.partition);
    pending.lane = lane;
    this.#traffic.submit(lane, pending);
  }

  /** Finds out whether a stream that a broker called unknown is gone; its publishes end then. */
  async #doubt(stream: StreamLane): Promise<void> {
    if (stream.inDoubt) return;
    stream.inDoubt = true;
    const gone = await streamIsGone(this.#cluster, stream.name, this.#closing.signal);
    stream.inDoubt = false;
    if (!gone || this.#closed) return;
    stream.version = -1;
    for (const lane of stream.partitions.values()) this.#traffic.refuse(lane, () => unknownStream(stream.name));
  }

  #routeSettled(route: Route): void {
    const lanes = [...route.waiting];
    route.waiting.clear();
    for (const lane of lanes) lane.version = -1;
    if (!route.usable) this.#lostBroker(lanes, route.lastError);
    for (const lane of lanes) this.#traffic.pump(lane);
  }

  #routeEnded(route: Route, end: StreamEnd, lost: readonly Pending[]): void {
    this.#routes.ended(route);
    const lanes = new Set(route.waiting);
    route.waiting.clear();
    for (const { lane } of lost) lanes.add(lane!);
    this.#traffic.lost(
      [...this.#lanes()].filter((lane) => lane.route === route),
      lost,
      route,
      end,
    );
    this.#lostBroker([...lanes], lostError(route.target, end, null));
    const { handlerFailure } = route;
    route.handlerFailure = null;
    if (handlerFailure !== null)
      for (const lane of lanes) this.#traffic.refuse(lane, (pending) => refusedError(pending, handlerFailure));
    for (const lane of lanes) this.#traffic.pump(lane);
  }

  /** The leaders may be others now. */
  #lostBroker(lanes: readonly PartitionLane[], error: unknown): void {
    if (this.#closed) return;
    for (const lane of lanes) noteFailure(lane.waiting.peek(), error);
    this.#search.start(lanes);
  }
}

function noteFailure(pending: Pending | null, error: unknown): void {
  if (pending !== null) pending.lastError = error;
}
