import { monotonicNow } from '../async/clock.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import type { LiftbridgeError } from '../errors.js';
import type { PartitionLane } from './lanes.js';
import type { Route } from './route.js';
import type { Routes } from './routes.js';

/**
 * A leader that cannot be reached has most likely failed, and what goes to its partition by way of another broker is lost
 * until there is a new leader. Publishes wait this long for one, in milliseconds, before they try another broker.
 */
export const LEADER_GRACE_MS = 1_000;

/** Chooses the broker that a lane's publishes go to: the leader, or any other while the leader is out of reach. */
export class RouteChoice {
  readonly #cluster: Cluster;
  readonly #routes: Routes;

  constructor(cluster: Cluster, routes: Routes) {
    this.#cluster = cluster;
    this.#routes = routes;
  }

  /**
   * A route that can be written to now; null while there is none, and routes that may become one are being opened. An error
   * when the leader refuses this client for good.
   */
  of(lane: PartitionLane): Route | LiftbridgeError | null {
    const leader = this.#cluster.leader(lane.stream, lane.partition);
    if (leader === null || lane.trouble?.refusedBy.has(leader.address)) return this.#other(lane, leader);
    const route = this.#routes.to(leader);
    lane.detour = false;
    if (route.usable) return route;
    const now = monotonicNow();
    const blocked = route.blockedUntil > now;
    if (route.refusal !== null) {
      if (!blocked) route.open();
      return route.refusal;
    }
    if (!blocked) open(route, lane);
    if (now - (route.failingSince ?? now) >= LEADER_GRACE_MS) return this.#other(lane, leader);
    // Where acks come, publishes go on until the new leader's connection is open.
    return lane.route?.usable && lane.trouble === null ? this.#detour(lane, lane.route) : null;
  }

  /** Any broker takes a publish; the one that has served this partition so far keeps it. */
  #other(lane: PartitionLane, leader: BrokerTarget | null): Route | null {
    const except = new Set(lane.trouble?.refusedBy);
    if (leader !== null) except.add(leader.address);
    if (lane.route?.usable && !except.has(lane.route.target.address)) return this.#detour(lane, lane.route);
    const route = this.#chooseOther(lane, except) ?? this.#routes.anyUsable(except);
    if (route !== null) return this.#detour(lane, route);
    // Every broker has refused, or is out of reach: the next round begins with the leader.
    lane.trouble?.refusedBy.clear();
    return null;
  }

  /** Null when none is usable yet; the one that is chosen is being opened then. */
  #chooseOther(lane: PartitionLane, except: ReadonlySet<string>): Route | null {
    const tried = new Set(except);
    const now = monotonicNow();
    for (;;) {
      const target = this.#anyBroker(lane, tried);
      if (target === null || tried.has(target.address)) return null;
      const route = this.#routes.to(target);
      if (route.usable) return route;
      if (route.blockedUntil <= now) {
        open(route, lane);
        return null;
      }
      tried.add(target.address);
    }
  }

  #anyBroker(lane: PartitionLane, except: ReadonlySet<string>): BrokerTarget | null {
    try {
      return this.#cluster.anyBroker(except);
    } catch (error) {
      const first = lane.waiting.peek();
      if (first !== null) first.lastError = error;
      return null;
    }
  }

  #detour(lane: PartitionLane, route: Route): Route {
    lane.detour = true;
    return route;
  }
}

function open(route: Route, lane: PartitionLane): void {
  route.waiting.add(lane);
  route.open();
}
