import { AckPolicy } from '../protocol/generated/api.js';
import type { AckWatch } from './ack-watch.js';
import type { PartitionLane } from './lanes.js';
import type { Pending } from './pending.js';
import { deposedError } from './publish-errors.js';
import type { Route } from './route.js';

/** What is told of publishes that end in flight. */
export interface FlightOwner {
  /** Ends a publish with an error. */
  settle(pending: Pending, error: unknown): void;
  /** Ends any number of publishes without blocking the event loop; nothing is done with them from now on. */
  settleAll(pendings: readonly Pending[], errorOf: (pending: Pending) => unknown): void;
  /** Whether sending it again cannot store it twice. */
  mayRepeat(pending: Pending): boolean;
}

/** Puts publishes in flight on the route of their lane, and takes them off it. */
export class LaneFlights {
  readonly #owner: FlightOwner;
  readonly #watch: AckWatch;
  #stopped = false;

  constructor(owner: FlightOwner, watch: AckWatch) {
    this.#owner = owner;
    this.#watch = watch;
  }

  /** Sends a publish on a route that is usable. */
  send(route: Route, lane: PartitionLane, pending: Pending): void {
    try {
      pending.attempts++;
      if (pending.ackPolicy === AckPolicy.NONE) {
        route.writeUnacknowledged(pending);
        return;
      }
      route.write(pending);
    } catch (error) {
      this.#owner.settle(pending, error);
      return;
    }
    pending.sent = true;
    pending.route = route;
    pending.responsesBefore = lane.responses;
    pending.offsetBefore = lane.newestOffset;
    lane.unsettled++;
    if (pending.ackPolicy === AckPolicy.LEADER) lane.prompt++;
    route.inFlight.add(pending);
    this.#watch.start();
  }

  /** Counts a publish off that was in flight; its route has forgotten it, or will. */
  leave(pending: Pending): void {
    if (!pending.sent) return;
    pending.sent = false;
    pending.route = null;
    const lane = pending.lane!;
    lane.unsettled--;
    if (pending.ackPolicy === AckPolicy.LEADER) lane.prompt--;
  }

  /** Waits no longer for acks of those in flight that pass the test. */
  giveUp(lane: PartitionLane, test: (pending: Pending) => boolean): void {
    const given = lane.route?.inFlight.take((pending) => pending.lane === lane && test(pending)) ?? [];
    this.release(given, true, deposedError);
  }

  /**
   * Takes publishes off their route. Those that this cannot store twice are given back to their lanes, to be sent again; the
   * others end with an error. `processed` is false when the broker certainly did nothing with them.
   */
  release(pendings: readonly Pending[], processed: boolean, errorOf: (pending: Pending) => unknown): void {
    const over: Pending[] = [];
    for (const pending of pendings) {
      this.leave(pending);
      if (!processed) pending.attempts--;
      if (this.#stopped || (processed && !this.#owner.mayRepeat(pending))) over.push(pending);
      else if (!pending.settled) pending.lane!.giveBack(pending);
    }
    this.#owner.settleAll(over, errorOf);
  }

  /** Sends nothing again from now on. */
  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }
}
