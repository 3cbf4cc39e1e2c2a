import { monotonicNow } from '../async/clock.js';
import type { PartitionEnds, PartitionView } from './partition-view.js';
import type { ReadPlan } from './positions.js';
import { FOLLOWER_COMMIT_MS, LEADER_COMMIT_MS } from './timing.js';

/** After this many unanswered probes the rest of the range counts as gone. */
const MOST_UNANSWERED = 3;

/** Finds out whether a bounded read that was idle for a while has anything left to wait for. */
export class RangeOutlook {
  readonly #view: PartitionView;
  readonly #plan: ReadPlan;
  /** Probes in a row that the broker did not answer. */
  #unanswered = 0;
  /** High watermark that holds back what is stored, and since when, as of `monotonicNow()`. */
  #stall: { readonly committed: bigint; readonly since: number } | null = null;

  constructor(view: PartitionView, plan: ReadPlan) {
    this.#view = view;
    this.#plan = plan;
  }

  /** Whether nothing more will come; in reverse, whether the server does not read in reverse. Rejects while the leader cannot be reached. */
  async isOver(next: bigint, last: bigint, signal: AbortSignal): Promise<boolean> {
    const isOver = await (this.#plan.reverse
      ? this.#cannotReverse(next, signal)
      : this.#hasNothingLeft(next, last, signal));
    this.#unanswered = isOver === null ? this.#unanswered + 1 : 0;
    return isOver ?? this.#unanswered >= MOST_UNANSWERED;
  }

  async #cannotReverse(next: bigint, signal: AbortSignal): Promise<boolean | null> {
    const isKnown = await this.#view.knowsReverse(next, signal);
    return isKnown === null ? null : !isKnown;
  }

  async #hasNothingLeft(next: bigint, last: bigint, signal: AbortSignal): Promise<boolean | null> {
    const outlook = await this.#view.outlook(next, last, signal);
    if (outlook !== null && typeof outlook === 'object') return this.#isStalled(outlook.uncommitted);
    this.#stall = null;
    return outlook === null ? null : outlook === 'nothing';
  }

  /**
   * After an abrupt stop of its leader a partition may hold messages behind its high watermark. They are not delivered
   * until it moves, which may be never: a read up to the newest message ends without them once it has not moved for long.
   */
  #isStalled({ committed, inSync }: PartitionEnds): boolean {
    const now = monotonicNow();
    if (this.#stall?.committed !== committed) this.#stall = { committed, since: now };
    // A caller who names an offset waits for it, whether it is stored already or not.
    if (this.#plan.stop.at === 'offset') return false;
    return now - this.#stall.since >= (inSync > 1 ? FOLLOWER_COMMIT_MS : LEADER_COMMIT_MS);
  }
}
