import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { BrokerTarget, Cluster } from '../cluster/cluster-api.js';
import { Route, type RouteEvents, type RouteSettings } from './route.js';

/** Once everything is settled, brokers have so long to end the streams; some wait for acks that will never come. */
const LAST_WORDS = 500;

/** The routes of a publisher, one a broker at a time. */
export class Routes {
  readonly #cluster: Cluster;
  readonly #settings: RouteSettings;
  readonly #events: RouteEvents;
  readonly #current = new Map<string, Route>();
  /** Routes that take nothing new but still wait for acks. */
  readonly #retiring = new Set<Route>();

  constructor(cluster: Cluster, settings: RouteSettings, events: RouteEvents) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#events = events;
  }

  /** The route to a broker, in whatever state. */
  to(target: BrokerTarget): Route {
    const known = this.#current.get(target.address);
    if (known !== undefined && !known.retired) return known;
    if (known !== undefined && !known.closed) this.#retiring.add(known);
    const route = new Route(target, this.#cluster, this.#settings, this.#events);
    this.#current.set(target.address, route);
    return route;
  }

  /** A route that can be written to now, to a broker whose address is not in `except`. */
  anyUsable(except: ReadonlySet<string>): Route | null {
    for (const [address, route] of this.#current) if (route.usable && !except.has(address)) return route;
    return null;
  }

  /** Forgets a retired route whose stream has ended. */
  ended(route: Route): void {
    this.#retiring.delete(route);
    const { address } = route.target;
    if (route.retired && this.#current.get(address) === route) this.#current.delete(address);
  }

  /** Milliseconds until the first blocked route may be tried again; null when none is blocked. */
  get blockedFor(): number | null {
    const now = monotonicNow();
    let soonest = Number.POSITIVE_INFINITY;
    for (const { blockedUntil } of this.#current.values())
      if (blockedUntil > now) soonest = Math.min(soonest, blockedUntil);
    return Number.isFinite(soonest) ? soonest - now : null;
  }

  /** Ends every route: in good order until `deadline` (as of `monotonicNow()`), by force then. */
  async close(deadline: number): Promise<void> {
    const routes = [...this.#current.values(), ...this.#retiring];
    for (const route of routes) route.retire();
    const patience = Math.max(0, Math.min(deadline - monotonicNow(), LAST_WORDS));
    const timer = setTimeout(() => {
      for (const route of routes) route.cancel();
    }, patience);
    await Promise.all(routes.map((route) => route.ended()));
    clearTimeout(timer);
  }
}
