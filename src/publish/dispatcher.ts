import type { BrokerTarget, Cluster } from '../cluster/contract.js';
import { ClosedError, ConnectionError, NoSuchStreamError } from '../errors.js';
import type { PublishResponse } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { choosePartition } from './choose-partition.js';
import { type PartitionLane, StreamLane } from './lanes.js';
import type { Pending } from './pending.js';
import { Route } from './route.js';

const LOOKUPS = 5;
const LOOKUP_PAUSE = 50;
const LONGEST_LOOKUP_PAUSE = 1_000;

/** What the dispatcher asks of the publisher. */
export interface Settling {
  readonly maxMessageBytes: number;
  /** Ends a publish with an error, or without one where no ack is to come. */
  settle(pending: Pending, error: unknown): void;
  response(route: Route, response: PublishResponse): void;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: Pending): boolean;
}

/** Brings publishes to brokers: looks up streams, chooses partitions and routes, and keeps the order of each partition. */
export class Dispatcher {
  readonly #cluster: Cluster;
  readonly #publisher: Settling;
  readonly #streams = new Map<string, StreamLane>();
  readonly #routes = new Map<string, Route>();
  /** Routes that take nothing new but still wait for acks. */
  readonly #retiring = new Set<Route>();
  /** Lanes that found no broker to try; the timer wakes them. */
  readonly #stalled = new Set<PartitionLane>();
  #wakeup: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(cluster: Cluster, publisher: Settling) {
    this.#cluster = cluster;
    this.#publisher = publisher;
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
    pending.route?.inFlight.delete(pending.correlationId);
    this.#leave(pending);
    const lane = pending.lane;
    if (lane !== null && lane.unsettled === 0 && !lane.waiting.empty) this.#pump(lane);
  }

  /** Ends all routes: what is in flight may still be acknowledged until `deadline`. Resolves when every stream has ended. */
  async close(deadline: number): Promise<void> {
    this.#closed = true;
    if (this.#wakeup !== null) clearTimeout(this.#wakeup);
    const routes = [...this.#routes.values(), ...this.#retiring];
    for (const route of routes) route.retire();
    const timer = setTimeout(
      () => {
        for (const route of routes) route.cancel();
      },
      Math.max(0, deadline - Date.now()),
    );
    await Promise.all(routes.map((route) => route.ended()));
    clearTimeout(timer);
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

  /** A new stream reaches the brokers one after the other, so one answer without it is not the last word. */
  async #lookUp(stream: StreamLane): Promise<void> {
    stream.lookingUp = true;
    let misses = 0;
    let pause = LOOKUP_PAUSE;
    while (!stream.waiting.empty && !this.#closed) {
      try {
        await this.#cluster.refresh([stream.name]);
        if (this.#known(stream) || ++misses >= LOOKUPS) break;
        pause = LOOKUP_PAUSE;
      } catch (error) {
        // No broker answers. The publishes wait for one until their time is up.
        const waiting = stream.waiting.peek();
        if (waiting) waiting.lastError = error;
        pause = Math.min(LONGEST_LOOKUP_PAUSE, pause * 2);
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    stream.lookingUp = false;
    this.#lookedUp(stream);
  }

  #lookedUp(stream: StreamLane): void {
    const known = this.#known(stream);
    for (let next = stream.waiting.peek(); next !== null; next = stream.waiting.peek()) {
      stream.waiting.shift();
      if (known) this.#place(stream, next);
      else this.#publisher.settle(next, this.#closed ? closing(next) : unknownStream(stream.name));
    }
    if (!known && stream.partitions.size === 0) this.#streams.delete(stream.name);
  }

  #place(stream: StreamLane, pending: Pending): void {
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
    if (route === null) return null;
    // Two routes at once could overtake each other.
    if (lane.unsettled > 0 && route !== current) return null;
    lane.route = route;
    lane.version = this.#cluster.version;
    if (route.usable) return route;
    route.waiting.add(lane);
    route.open();
    return null;
  }

  /** The leader's route, or that of any other broker while there is no leader or it cannot be reached. */
  #choose(lane: PartitionLane): Route | null {
    const now = Date.now();
    const blocked = new Set<string>();
    let target: BrokerTarget | null = this.#cluster.leader(lane.stream, lane.partition);
    for (;;) {
      target ??= this.#anyBroker(lane, blocked);
      if (target === null || blocked.has(target.address)) break;
      const route = this.#route(target);
      if (route.blockedUntil <= now) return route;
      blocked.add(target.address);
      target = null;
    }
    this.#stall(lane);
    return null;
  }

  #anyBroker(lane: PartitionLane, except: ReadonlySet<string>): BrokerTarget | null {
    try {
      return this.#cluster.anyBroker(except);
    } catch (error) {
      const waiting = lane.waiting.peek();
      if (waiting) waiting.lastError = error;
      return null;
    }
  }

  #route(target: BrokerTarget): Route {
    const known = this.#routes.get(target.address);
    if (known !== undefined && !known.retired) return known;
    if (known !== undefined) this.#retiring.add(known);
    const route = new Route(target, this.#cluster, this.#publisher.maxMessageBytes, {
      settled: (one) => this.#wake(one),
      response: (one, response) => this.#publisher.response(one, response),
      ended: (one, end, lost) => this.#routeEnded(one, end, lost),
    });
    this.#routes.set(target.address, route);
    return route;
  }

  #stall(lane: PartitionLane): void {
    this.#stalled.add(lane);
    if (this.#wakeup !== null) return;
    const now = Date.now();
    const soonest = Math.min(...[...this.#routes.values()].map((route) => route.blockedUntil).filter((at) => at > now));
    const delay = Number.isFinite(soonest) ? Math.max(1, soonest - now) : LOOKUP_PAUSE;
    this.#wakeup = setTimeout(() => this.#unstall(), delay);
  }

  #unstall(): void {
    this.#wakeup = null;
    const lanes = [...this.#stalled];
    this.#stalled.clear();
    for (const lane of lanes) this.#pump(lane);
  }

  #wake(route: Route): void {
    const lanes = [...route.waiting];
    route.waiting.clear();
    if (!route.usable) this.#lostBroker(lanes, route.lastError);
    for (const lane of lanes) this.#pump(lane);
  }

  #send(route: Route, lane: PartitionLane, pending: Pending): void {
    pending.attempts++;
    if (pending.ackPolicy === 2) {
      this.#sendUnacknowledged(route, pending);
      return;
    }
    pending.sent = true;
    pending.route = route;
    lane.unsettled++;
    route.inFlight.set(pending.correlationId, pending);
    try {
      route.write(pending);
    } catch (error) {
      this.#publisher.settle(pending, error);
    }
  }

  #sendUnacknowledged(route: Route, pending: Pending): void {
    try {
      route.write(pending);
    } catch (error) {
      this.#publisher.settle(pending, error);
      return;
    }
    const written = route.written();
    if (written === null) this.#publisher.settle(pending, null);
    else void written.then(() => this.#publisher.settle(pending, null));
  }

  #leave(pending: Pending): void {
    if (!pending.sent) return;
    pending.sent = false;
    pending.route = null;
    if (pending.lane !== null) pending.lane.unsettled--;
  }

  #routeEnded(route: Route, end: StreamEnd, lost: readonly Pending[]): void {
    this.#retiring.delete(route);
    if (this.#routes.get(route.target.address) === route && route.retired) this.#routes.delete(route.target.address);
    const error = lostError(route.target, end);
    const again = new Map<PartitionLane, Pending[]>();
    const lanes = new Set<PartitionLane>(route.waiting);
    route.waiting.clear();
    for (const pending of lost) {
      const lane = pending.lane!;
      lanes.add(lane);
      if (this.#closed || (end.processed && !this.#publisher.mayRepeat(pending))) {
        this.#publisher.settle(pending, error);
        continue;
      }
      this.#leave(pending);
      pending.lastError = error;
      const earlier = again.get(lane);
      if (earlier === undefined) again.set(lane, [pending]);
      else earlier.push(pending);
    }
    for (const [lane, pendings] of again) lane.waiting.unshift(pendings);
    this.#lostBroker([...lanes], error);
    for (const lane of lanes) this.#pump(lane);
  }

  /** The leaders may be others now. A failed refresh is not lost: the lanes go on with what is known. */
  #lostBroker(lanes: readonly PartitionLane[], error: unknown): void {
    if (this.#closed) return;
    const streams = new Set<string>();
    for (const lane of lanes) {
      streams.add(lane.stream);
      const waiting = lane.waiting.peek();
      if (waiting) waiting.lastError = error;
    }
    if (streams.size === 0) return;
    this.#cluster.refresh([...streams]).then(
      () => {
        for (const lane of lanes) this.#pump(lane);
      },
      (failure: unknown) =>
        this.#cluster.logger.debug({ error: failure }, 'metadata refresh after a lost publish stream failed'),
    );
  }
}

function unknownStream(stream: string): NoSuchStreamError {
  const message = `Publish to stream "${stream}" refused: the cluster knows no stream of that name. Create it first, or check the name. Nothing was sent.`;
  return new NoSuchStreamError(message, { stream, operation: 'Publish' });
}

function closing(pending: Pending): ClosedError {
  const message = `Publish to stream "${pending.stream}" failed: the client was closed before it was sent.`;
  return new ClosedError(message, { stream: pending.stream, operation: 'Publish' });
}

function lostError(target: BrokerTarget, end: StreamEnd): ConnectionError {
  const why = end.code === 0 ? 'the broker ended it' : `${end.message || 'no details'} (${end.codeName})`;
  return new ConnectionError(
    `The publish stream to broker ${target.id} (${target.address}) broke: ${why}. Whether the message was stored is not known.`,
    { broker: target.id, operation: 'Publish', reason: 'lost', outcome: 'unknown' },
  );
}
