import { monotonicNow } from '../async/clock.js';
import type { Cluster } from '../cluster/cluster-api.js';
import { AckPolicy } from '../protocol/generated/api.js';
import type { StreamEnd } from '../transport/stream-end.js';
import { AckWatch } from './ack-watch.js';
import { type FlightOwner, LaneFlights } from './lane-flights.js';
import { LaneWakeups } from './lane-wakeups.js';
import type { PartitionLane } from './lanes.js';
import { LeaderChecks } from './leader-checks.js';
import type { Pending } from './pending.js';
import { lostError, overtakenError, refusedError } from './publish-errors.js';
import { Route } from './route.js';
import type { RouteChoice } from './route-choice.js';
import type { Routes } from './routes.js';

/** Milliseconds between two probes: publishes to a partition that nothing acknowledges. Refusals make the pause longer. */
const PROBE_PAUSE_MS = 100;
/** Publishes with acks of all replicas that may go out between two probes. */
const PASSED_A_PAUSE = 16;
const FIRST_REFUSAL_PAUSE_MS = 50;
const LONGEST_REFUSAL_PAUSE_MS = 250;
/** Milliseconds that what is in flight has to be acknowledged when its partition changes to another route. */
const HANDOVER_MS = 500;
/** The same when acks have stopped to come already. */
const TROUBLED_HANDOVER_MS = 200;
/** The same on a connection that the broker is about to end: it still brings acks, and takes nothing more. */
const RETIREMENT_MS = 2_000;
/** Milliseconds until a change that would lose acks is tried again. */
const RETRY_CHANGE_MS = 5_000;
/** When to look again for a broker while none is known to be blocked. */
const STALL_PAUSE_MS = 50;
/** No ack comes in less, in milliseconds: what has no more left of its timeout is not sent any more. A probe has more time. */
const SHORTEST_WAIT_MS = 25;
const SHORTEST_PROBE_MS = 250;
/** What one turn of the event loop sends of a queue. */
const MESSAGES_A_TURN = 1_024;
const BYTES_A_TURN = 4 * 1024 * 1024;

/** What the traffic asks of its owner. */
export interface TrafficOwner extends FlightOwner {
  /** The leader of the lane's partition may be another by now. */
  searchLeader(lane: PartitionLane): void;
  /** A broker does not know the lane's partition. */
  doubt(lane: PartitionLane): void;
}

/** Whether there is still time for an ack of a publish that is sent now. */
export function hasTime(pending: Pending, now: number, needed = SHORTEST_WAIT_MS): boolean {
  return pending.deadline - now >= Math.min(needed, pending.timeout / 2);
}

/**
 * Sends the publishes of each partition, in order. While acks come they are pipelined. Once acks stop to come, or the
 * connection was lost, they go out one at a time, as probes, until one is acknowledged: what goes to a partition without a
 * leader is lost.
 */
export class LaneTraffic {
  readonly #cluster: Cluster;
  readonly #owner: TrafficOwner;
  readonly #routes: Routes;
  readonly #choice: RouteChoice;
  readonly #wakeups = new LaneWakeups((lane) => this.pump(lane));
  readonly #flights: LaneFlights;
  readonly #checks: LeaderChecks;
  #stopped = false;

  /** `lanes` names all lanes. */
  constructor(
    cluster: Cluster,
    owner: TrafficOwner,
    routes: Routes,
    choice: RouteChoice,
    lanes: () => Iterable<PartitionLane>,
  ) {
    this.#cluster = cluster;
    this.#owner = owner;
    this.#routes = routes;
    this.#choice = choice;
    this.#checks = new LeaderChecks(cluster, {
      passed: (lane) => this.pump(lane),
      unknown: (lane) => owner.doubt(lane),
    });
    this.#flights = new LaneFlights(owner, new AckWatch(lanes, (lane) => this.#silent(lane)));
  }

  /** Sends a publish, or puts it behind those that wait. */
  submit(lane: PartitionLane, pending: Pending): void {
    if (pending.ackPolicy === AckPolicy.LEADER) lane.hasLeaderAcks = true;
    const idle = lane.waiting.empty;
    if (idle && lane.trouble === null) {
      const { route } = lane;
      if (route?.usable && lane.version === this.#cluster.version && (lane.checked === route || lane.detour)) {
        this.#flights.send(route, lane, pending);
        return;
      }
    }
    lane.waiting.push(pending);
    if (idle) this.pump(lane);
  }

  /** Sends what waits, as far as it may be sent now; sees to it that the lane is called again for the rest. */
  pump(lane: PartitionLane): void {
    if (this.#stopped || !this.#restored(lane)) return;
    if (lane.waiting.peek() === null) {
      // Nobody may be able to wait: what is lost can take the whole window.
      if (lane.trouble !== null && lane.unsettled > 0) this.#routeOf(lane);
      return;
    }
    const now = monotonicNow();
    let messages = MESSAGES_A_TURN;
    let bytes = BYTES_A_TURN;
    for (let next = lane.waiting.peek(); next !== null; next = lane.waiting.peek()) {
      if (messages-- <= 0 || bytes <= 0) {
        this.#wakeups.nextTurn(lane);
        return;
      }
      if (hasTime(next, now, lane.trouble === null ? SHORTEST_WAIT_MS : SHORTEST_PROBE_MS)) {
        const route = this.#routeOf(lane);
        if (route === null || !this.#checks.mayGo(lane, route) || !this.#mayGo(lane, next, now)) return;
        if (lane.trouble !== null && lane.trouble.returned.length > 0) {
          this.#wakeups.nextTurn(lane);
          return;
        }
        lane.waiting.shift();
        this.#flights.send(route, lane, next);
        bytes -= next.bytes;
      } else lane.waiting.shift();
    }
  }

  /** Takes a publish that is settled off its route; what waited for it goes on. */
  finished(pending: Pending): void {
    pending.route?.inFlight.delete(pending);
    this.#flights.leave(pending);
    const { lane } = pending;
    if (lane === null) return;
    if (lane.unsettled > 0 && (lane.leaveAt === null || lane.prompt > 0)) return;
    if (lane.detour) lane.version = -1;
    if (!lane.waiting.empty || lane.trouble !== null) this.pump(lane);
  }

  /** Notes that a broker has acknowledged a publish (`stored`), or has refused it for good. */
  answered(pending: Pending, stored: boolean): void {
    const lane = pending.lane!;
    lane.responses++;
    if (stored && pending.number > lane.newestAcked) lane.newestAcked = pending.number;
    if (lane.trouble !== null && lane.trouble.returned.length === 0) this.#recover(lane, pending, stored);
  }

  /** Takes back a publish that a broker could not store at the moment, and certainly did not: it is sent again, in its place. */
  takeBack(pending: Pending, error: unknown): void {
    const lane = pending.lane!;
    const trouble = lane.beginTrouble();
    if (pending.route !== null) trouble.refusedBy.add(pending.route.target.address);
    lane.checked = null;
    pending.route?.inFlight.delete(pending);
    this.#flights.leave(pending);
    pending.attempts--;
    pending.lastError = error;
    lane.responses++;
    // A burst of refusals counts as one.
    if (trouble.returned.length === 0) {
      const pause = Math.min(LONGEST_REFUSAL_PAUSE_MS, FIRST_REFUSAL_PAUSE_MS * 2 ** Math.min(trouble.refusals++, 10));
      trouble.probeAt = monotonicNow() + pause;
      trouble.passed = PASSED_A_PAUSE;
      this.#wakeups.at(lane, trouble.probeAt);
    }
    lane.giveBack(pending);
  }

  /** Notes that a publish was not answered within its timeout. Were there no answers at all, publishes become probes. */
  expired(pending: Pending): void {
    const { lane, route } = pending;
    if (lane === null || route === null || lane.responses !== pending.responsesBefore) return;
    this.#suspect(lane);
    route.checkLiveness();
  }

  /** Ends what waits in a lane with an error. */
  refuse(lane: PartitionLane, errorOf: (pending: Pending) => unknown): void {
    const pendings = lane.trouble?.returned ?? [];
    if (lane.trouble !== null) lane.trouble.returned = [];
    this.#owner.settleAll([...pendings, ...lane.waiting.clear()], errorOf);
  }

  /**
   * Takes back what was in flight on a route that has ended and that these lanes had used: what cannot be stored twice is sent
   * again, the rest ends with an error.
   */
  lost(lanes: Iterable<PartitionLane>, lost: readonly Pending[], { target }: Route, end: StreamEnd): void {
    for (const lane of lanes) {
      lane.beginTrouble();
      lane.version = -1;
      lane.leaveAt = null;
    }
    // Their callers may publish again from their callbacks: by now all that goes before them stands in its place.
    this.#flights.release(lost, end.processed, (pending) => lostError(target, end, pending));
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#wakeups.stop();
    this.#checks.stop();
    this.#flights.stop();
  }

  /** The route to send on now, or null: the lane is called again when there is one. */
  #routeOf(lane: PartitionLane): Route | null {
    const { route: current } = lane;
    const { version } = this.#cluster;
    if (current?.usable && lane.version === version) return current;
    const chosen = this.#choice.of(lane);
    if (chosen === null) {
      // A broker that does not answer at all must not keep the lane for as long as connecting may take.
      this.#wakeups.at(lane, monotonicNow() + (this.#routes.blockedFor ?? STALL_PAUSE_MS));
      return null;
    }
    if (!(chosen instanceof Route)) {
      this.refuse(lane, (pending) => refusedError(pending, chosen));
      return null;
    }
    const route = chosen === current || lane.unsettled === 0 ? chosen : this.#change(lane, chosen);
    if (route === null) return null;
    lane.leaveAt = null;
    if (route !== current && lane.detour) lane.beginTrouble();
    lane.route = route;
    lane.version = version;
    return route;
  }

  /**
   * Changes to another route although publishes are in flight. Two routes at once could overtake each other, so what is in
   * flight has a moment to be acknowledged. After that the lane stays where it is if acks come there. If none come, what is
   * in flight is given up: a late ack would show that it was stored behind later ones, or come from a broker that was the
   * leader and does not know better.
   */
  #change(lane: PartitionLane, chosen: Route): Route | null {
    const current = lane.route!;
    const now = monotonicNow();
    if (!current.usable || lane.trouble !== null) {
      const patience = lane.trouble === null ? RETIREMENT_MS : TROUBLED_HANDOVER_MS;
      if (!this.#waited(lane, now, patience)) return null;
      this.#flights.giveUp(lane, () => true);
      return chosen;
    }
    if (now >= lane.retryAt) {
      // Only acks of all replicas are missing: they may take long, and are not worth the wait.
      if (lane.prompt > 0 && !this.#waited(lane, now, HANDOVER_MS)) return null;
      lane.retryAt = now + RETRY_CHANGE_MS;
    }
    lane.detour = true;
    return current;
  }

  /** Whether what is in flight has had its time to be acknowledged; if not, the lane is called again. */
  #waited(lane: PartitionLane, now: number, patience: number): boolean {
    lane.leaveAt ??= now + patience;
    if (now < lane.leaveAt) {
      this.#wakeups.at(lane, lane.leaveAt);
      return false;
    }
    lane.leaveAt = null;
    return true;
  }

  /** Puts back what is to be sent again, once nothing is in flight that might be stored before it. False while it has to wait. */
  #restored(lane: PartitionLane): boolean {
    const { trouble } = lane;
    if (trouble === null || trouble.returned.length === 0) return true;
    if (lane.unsettled > 0) {
      if (!this.#waited(lane, monotonicNow(), HANDOVER_MS)) return false;
      this.#flights.giveUp(lane, () => true);
    }
    lane.leaveAt = null;
    const returned = trouble.returned.filter(({ settled }) => !settled).sort((a, b) => a.number - b.number);
    trouble.returned = [];
    const overtaken = returned.findLastIndex(({ number }) => number < lane.newestAcked) + 1;
    lane.waiting.unshift(returned.slice(overtaken));
    this.#owner.settleAll(returned.slice(0, overtaken), overtakenError);
    return true;
  }

  /**
   * In trouble: whether it is time for the next probe. What asks for no ack is no probe. An ack of all replicas may take as
   * long as a follower needs to be given up: a few publishes that ask for it pass, to bring the next real probe forward.
   */
  #mayGo(lane: PartitionLane, next: Pending, now: number): boolean {
    const { trouble } = lane;
    if (trouble === null || next.ackPolicy === AckPolicy.NONE) return true;
    const isSlow = next.ackPolicy === AckPolicy.ALL && lane.hasLeaderAcks;
    if (now < trouble.probeAt && !(isSlow && trouble.passed < PASSED_A_PAUSE)) {
      this.#wakeups.at(lane, trouble.probeAt);
      return false;
    }
    if (now < trouble.probeAt) trouble.passed++;
    else {
      trouble.passed = 0;
      trouble.probeAt = now + PROBE_PAUSE_MS;
    }
    return true;
  }

  #recover(lane: PartitionLane, pending: Pending, stored: boolean): void {
    lane.trouble = null;
    // A leader acknowledges in order: what it has passed over was lost, and a late ack would not be true.
    if (stored && pending.ackPolicy === AckPolicy.LEADER)
      this.#flights.giveUp(lane, ({ number, ackPolicy }) => number < pending.number && ackPolicy === AckPolicy.LEADER);
    if (!lane.waiting.empty || lane.trouble !== null) this.#wakeups.nextTurn(lane);
  }

  /** Acks have stopped to come although the connection is open. */
  #silent(lane: PartitionLane): void {
    lane.route?.checkLiveness();
    // Acks of all replicas may take as long as a follower needs to be given up: they show nothing.
    if (lane.prompt > 0) this.#suspect(lane);
    this.#owner.searchLeader(lane);
  }

  #suspect(lane: PartitionLane): void {
    if (lane.trouble !== null) return;
    lane.beginTrouble();
    this.pump(lane);
  }
}
