import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster } from '../cluster/contract.js';
import type { PublishResponse } from '../protocol/generated/api.js';
import { AckPolicy } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { choosePartition } from './choose-partition.js';
import { type PartitionLane, StreamLane } from './lanes.js';
import { LeaderSearch } from './leader-search.js';
import { lookUpStream } from './lookup.js';
import type { Pending } from './pending.js';
import { closing, lostError, unknownStream } from './publish-errors.js';
import type { Route, RouteSettings } from './route.js';
import { Routes } from './routes.js';

/**
 * A leader that cannot be reached has most likely failed, and what goes to its partition by another broker is lost until
 * it has a successor. For so long publishes wait for that; after it they go by any broker that can be reached.
 */
const LEADER_GRACE = 1_000;
/** When to look again for a broker while none is known to be blocked. */
const STALL_PAUSE = 50;

/** What the dispatcher asks of the publisher. */
export interface Settling {
  readonly routes: RouteSettings;
  /** Ends a publish with an error, or without one where no ack is to come. */
  settle(pending: Pending, error: unknown): void;
  response(route: Route, response: PublishResponse, pending: Pending | null): void;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: Pending): boolean;
}

/** Brings publishes to brokers: looks up streams, chooses partitions and routes, and keeps the order of each partition. */
export class Dispatcher {
  readonly #cluster: Cluster;
  readonly #publisher: Settling;
  readonly #streams = new Map<string, StreamLane>();
  readonly #routes: Routes;
  readonly #closing = new AbortController();
  readonly #search: LeaderSearch;
  readonly #forgetLeaders: () => void;
  /** Lanes that found no broker to try; the timer wakes them. */
  readonly #stalled = new Set<PartitionLane>();
  #wakeup: NodeJS.Timeout | null = null;

  constructor(cluster: Cluster, publisher: Settling) {
    this.#cluster = cluster;
    this.#publisher = publisher;
    this.#routes = new Routes(cluster, publisher.routes, {
      settled: (route) => this.#routeSettled(route),
      response: publisher.response,
      written: (pendings) => {
        for (const pending of pendings) publisher.settle(pending, null);
      },
      ended: (route, end, lost) => this.#routeEnded(route, end, lost),
    });
    this.#search = new LeaderSearch(cluster, LEADER_GRACE, this.#closing.signal, (lane) => this.#pump(lane));
    this.#forgetLeaders = cluster.on('leaderChange', ({ stream, partition }) => {
      const lane = this.#streams.get(stream)?.partitions.get(partition);
      if (lane !== undefined) this.#pump(lane);
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
    pending.route?.inFlight.delete(pending);
    this.#leave(pending);
    const lane = pending.lane;
    if (lane !== null && lane.unsettled === 0 && !lane.waiting.empty) this.#pump(lane);
  }

  /** Ends all routes: acks may still come until `deadline`. Resolves when every stream has ended. */
  async close(deadline: number): Promise<void> {
    this.#closing.abort();
    this.#forgetLeaders();
    if (this.#wakeup !== null) clearTimeout(this.#wakeup);
    await this.#routes.close(deadline);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
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

  async #lookUp(stream: StreamLane): Promise<void> {
    stream.lookingUp = true;
    await lookUpStream(this.#cluster, stream.name, {
      wanted: () => stream.waiting.peek() !== null,
      failed: (error) => noteFailure(stream.waiting.peek(), error),
      signal: this.#closing.signal,
    });
    const known = this.#known(stream);
    for (let next = stream.waiting.peek(); next !== null; next = stream.waiting.peek()) {
      stream.waiting.shift();
      if (!known && this.#closed) this.#publisher.settle(next, closing(next));
      else this.#place(stream, next);
    }
    stream.lookingUp = false;
    if (!known && stream.partitions.size === 0) this.#streams.delete(stream.name);
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
    const route = lane.waiting.empty ? this.#routeOf(lane) : null;
    if (route !== null) this.#send(route, lane, pending);
    else lane.waiting.push(pending);
  }

  #pump(lane: PartitionLane): void {
    for (let next = lane.waiting.peek(); next !== null; next = lane.waiting.peek()) {
      const route = this.#routeOf(lane);
      if (route === null) return;
      lane.waiting.shift();
      this.#send(route, lane, next);
    }
  }

  /** The route to send on now, or null: the lane is called again when there is one. */
  #routeOf(lane: PartitionLane): Route | null {
    const current = lane.route;
    if (current?.usable && lane.version === this.#cluster.version) return current;
    if (this.#closed) return null;
    const route = this.#choose(lane);
    if (route === null) {
      this.#stall(lane);
      return null;
    }
    // Two routes at once could overtake each other.
    if (lane.unsettled > 0 && route !== current) return null;
    lane.route = route;
    lane.version = this.#cluster.version;
    if (route.usable) return route;
    route.waiting.add(lane);
    route.open();
    // A broker that does not answer at all must not keep the lane for as long as connecting may take.
    this.#stall(lane);
    return null;
  }

  /** The leader's route, or that of any other broker while there is no leader or it is out of reach for long. */
  #choose(lane: PartitionLane): Route | null {
    const leader = this.#cluster.leader(lane.stream, lane.partition);
    if (leader === null) return this.#otherRoute(lane, new Set());
    const route = this.#routes.to(leader);
    const now = monotonicNow();
    const blocked = route.blockedUntil > now;
    if (route.usable || (!blocked && now - (route.failingSince ?? now) < LEADER_GRACE)) return route;
    if (now - (route.failingSince ?? now) < LEADER_GRACE) return null;
    const other = this.#otherRoute(lane, new Set([leader.address]));
    if (blocked) return other;
    if (other === null) return route;
    // It is tried again without anybody waiting for it.
    route.open();
    return other;
  }

  /** Any broker takes a publish; the one that has served this partition so far keeps it. */
  #otherRoute(lane: PartitionLane, except: Set<string>): Route | null {
    if (lane.route?.usable) return lane.route;
    const now = monotonicNow();
    for (;;) {
      const target = this.#anyBroker(lane, except);
      if (target === null || except.has(target.address)) return null;
      const route = this.#routes.to(target);
      if (route.blockedUntil <= now) return route;
      except.add(target.address);
    }
  }

  #anyBroker(lane: PartitionLane, except: ReadonlySet<string>): BrokerTarget | null {
    try {
      return this.#cluster.anyBroker(except);
    } catch (error) {
      noteFailure(lane.waiting.peek(), error);
      return null;
    }
  }

  #stall(lane: PartitionLane): void {
    this.#stalled.add(lane);
    this.#wakeup ??= setTimeout(
      () => {
        this.#wakeup = null;
        const lanes = [...this.#stalled];
        this.#stalled.clear();
        for (const stalled of lanes) this.#pump(stalled);
      },
      Math.max(1, this.#routes.blockedFor ?? STALL_PAUSE),
    );
  }

  #send(route: Route, lane: PartitionLane, pending: Pending): void {
    try {
      pending.attempts++;
      if (pending.ackPolicy === AckPolicy.NONE) {
        route.writeUnacknowledged(pending);
        return;
      }
      route.write(pending);
    } catch (error) {
      this.#publisher.settle(pending, error);
      return;
    }
    pending.sent = true;
    pending.route = route;
    lane.unsettled++;
    route.inFlight.add(pending);
  }

  #leave(pending: Pending): void {
    if (!pending.sent) return;
    pending.sent = false;
    pending.route = null;
    if (pending.lane !== null) pending.lane.unsettled--;
  }

  #routeSettled(route: Route): void {
    const lanes = [...route.waiting];
    route.waiting.clear();
    if (!route.usable) this.#lostBroker(lanes, route.lastError);
    for (const lane of lanes) this.#pump(lane);
  }

  #routeEnded(route: Route, end: StreamEnd, lost: readonly Pending[]): void {
    this.#routes.ended(route);
    const lanes = new Set(route.waiting);
    route.waiting.clear();
    const over = this.#takeBack(lost, end, lanes);
    // Their callers may publish again from their callbacks: by now all that goes before them stands in its place.
    for (const pending of over) this.#publisher.settle(pending, lostError(route.target, end, pending));
    this.#lostBroker([...lanes], lostError(route.target, end, null));
    for (const lane of lanes) this.#pump(lane);
  }

  /** Puts what can be sent again back into its lane, in front; answers the rest. */
  #takeBack(lost: readonly Pending[], end: StreamEnd, lanes: Set<PartitionLane>): Pending[] {
    const over: Pending[] = [];
    const again = new Map<PartitionLane, Pending[]>();
    for (const pending of lost) {
      const lane = pending.lane!;
      lanes.add(lane);
      this.#leave(pending);
      if (!end.processed) pending.attempts--;
      if (this.#closed || (end.processed && !this.#publisher.mayRepeat(pending))) {
        over.push(pending);
        continue;
      }
      const earlier = again.get(lane);
      if (earlier === undefined) again.set(lane, [pending]);
      else earlier.push(pending);
    }
    for (const [lane, pendings] of again) lane.waiting.unshift(pendings);
    return over;
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
