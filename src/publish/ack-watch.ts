import { clearInterval, setInterval } from '../async/timers.js';
import type { PartitionLane } from './lanes.js';

/** Milliseconds between two looks at what is in flight. */
const LOOK_EVERY_MS = 250;
/** A lane is silent when this many looks in a row have seen publishes in flight and no response. */
const SILENT_LOOKS = 4;

/** Notices lanes whose publishes are not answered, long before their timeouts: within a second. */
export class AckWatch {
  readonly #lanes: () => Iterable<PartitionLane>;
  readonly #silent: (lane: PartitionLane) => void;
  #timer: NodeJS.Timeout | null = null;

  /** `silent` is called for a lane once its publishes have been unanswered for a second, and again from time to time while they are. */
  constructor(lanes: () => Iterable<PartitionLane>, silent: (lane: PartitionLane) => void) {
    this.#lanes = lanes;
    this.#silent = silent;
  }

  /** Watches for as long as anything is in flight. */
  start(): void {
    // The timeouts of the publishes keep the process alive, not this.
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    let inFlight = false;
    for (const lane of this.#lanes()) {
      // The leader may have come within reach.
      if (lane.detour) lane.version = -1;
      if (lane.unsettled === 0) {
        lane.silentLooks = 0;
        continue;
      }
      inFlight = true;
      if (lane.responses !== lane.seen) {
        lane.seen = lane.responses;
        lane.silentLooks = 0;
      } else if (++lane.silentLooks >= SILENT_LOOKS && isPowerOfTwo(lane.silentLooks)) this.#silent(lane);
    }
    if (!inFlight) this.stop();
  }
}

function isPowerOfTwo(number: number): boolean {
  return (number & (number - 1)) === 0;
}
