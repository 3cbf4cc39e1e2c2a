import { monotonicNow } from '../async/clock.js';
import { clearTimeout, setTimeout } from '../async/timers.js';
import type { Logger } from '../options.js';
import type { FetchConsumerGroupAssignmentsResponse } from '../protocol/generated/api.js';
import type { Membership } from './membership.js';
import { backoff, pause } from './pauses.js';
import { pollFailure } from './poll-failure.js';

const SHORTEST_CALL = 500;
const REPORT_EVERY = 1_000;
/** From so many failures in a row, word of an earlier epoch is taken for a group that was made anew. */
const PATIENCE = 3;
/** Pause between polls while the end of a subscription may be hidden behind messages that nobody takes. */
const STALLED_PAUSE = 400;

/** What a heartbeat tells its consumer. */
export interface HeartbeatEvents {
  assigned(answer: FetchConsumerGroupAssignmentsResponse): void;
  /** Whether a broker was told to stop sending: it cannot tell then that a partition went to another member. */
  isStalled(): boolean;
  /** The coordinator took this member out: joins again. Rejects when that is for ever impossible. */
  expired(): Promise<void>;
  /** It cannot go on. */
  failed(error: unknown): void;
}

/** Asks for the assignments again and again, and finds its way through changes of epoch and coordinator. */
export class Heartbeat {
  readonly #membership: Membership;
  readonly #events: HeartbeatEvents;
  readonly #logger: Logger;
  readonly #timeout: number;
  readonly #stopped = new AbortController();
  #interval: number;
  #wake: () => void = () => undefined;
  #hurry = false;
  #confirmations: (() => void)[] = [];
  #reported = 0;
  #failures = 0;
  #done: Promise<void> = Promise.resolve();

  /** Milliseconds: `interval` between polls, `timeout` for one call. */
  constructor(membership: Membership, interval: number, timeout: number, events: HeartbeatEvents, logger: Logger) {
    this.#membership = membership;
    this.#interval = interval;
    this.#timeout = timeout;
    this.#events = events;
    this.#logger = logger;
  }

  start(): void {
    this.#done = this.#beat();
  }

  /** Polls now instead of later. */
  hurry(): void {
    this.#hurry = true;
    this.#wake();
  }

  /** Resolves when a poll that began later than this call was answered, and heeded. */
  confirmed(): Promise<void> {
    const confirmed = new Promise<void>((resolve) => this.#confirmations.push(resolve));
    this.hurry();
    return confirmed;
  }

  /** Changes the pause between polls. */
  set interval(ms: number) {
    this.#interval = ms;
  }

  /** Ends it; resolves when nothing of it is under way. */
  stop(): Promise<void> {
    this.#stopped.abort(new Error('the heartbeat was stopped'));
    this.#wake();
    return this.#done;
  }

  get #signal(): AbortSignal {
    return this.#stopped.signal;
  }

  async #beat(): Promise<void> {
    while (!this.#signal.aborted) {
      this.#hurry = false;
      const waiting = this.#confirmations.splice(0);
      try {
        const answer = await this.#membership.poll(this.#bounds);
        if (this.#signal.aborted) return;
        this.#failures = 0;
        this.#events.assigned(answer);
        for (const confirm of waiting.splice(0)) confirm();
        await this.#rest();
      } catch (error) {
        this.#confirmations.unshift(...waiting);
        if (this.#signal.aborted) return;
        if (!(await this.#overcome(error))) return;
      }
    }
  }

  async #overcome(error: unknown): Promise<boolean> {
    this.#failures++;
    this.#logger.debug(
      { error, group: this.#membership.groupId },
      'polling the assignments of a consumer group failed',
    );
    try {
      await this.#remedy(error);
      return true;
    } catch (fatal) {
      if (!this.#signal.aborted) this.#events.failed(fatal);
      return false;
    }
  }

  async #remedy(error: unknown): Promise<void> {
    switch (pollFailure(error)) {
      case 'fatal':
        throw error;
      case 'not-member':
      case 'no-group':
        await this.#events.expired();
        // A broker that has just begun to coordinate the group may not know of it yet.
        if (this.#failures > 1) await pause(backoff(this.#failures), this.#signal);
        return;
      case 'stale-epoch':
        await this.#look('coordinator');
        return;
      default:
        await this.#look('anyone');
        this.#report();
    }
  }

  async #look(from: 'coordinator' | 'anyone'): Promise<void> {
    try {
      if (await this.#membership.locate(from, this.#failures >= PATIENCE, this.#bounds)) return;
    } catch (error) {
      this.#logger.debug({ error, group: this.#membership.groupId }, 'looking for the coordinator of a group failed');
    }
    await pause(backoff(this.#failures), this.#signal);
  }

  /** In the background: who wonders where the coordinator is looks on meanwhile. */
  #report(): void {
    if (this.#membership.silence < this.#membership.coordinatorTimeout) return;
    if (monotonicNow() - this.#reported < REPORT_EVERY || this.#signal.aborted) return;
    this.#reported = monotonicNow();
    this.#membership.report(this.#bounds).catch((error: unknown) => {
      this.#logger.debug({ error, group: this.#membership.groupId }, 'reporting the coordinator of a group failed');
    });
  }

  async #rest(): Promise<void> {
    const ends = monotonicNow() + this.#interval;
    for (let left = this.#interval; left > 0; left = ends - monotonicNow()) {
      if (this.#hurry || this.#signal.aborted) return;
      await this.#sleep(Math.min(left, STALLED_PAUSE));
      if (this.#events.isStalled()) return;
    }
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  get #bounds(): { signal: AbortSignal; timeout: number } {
    return { signal: this.#signal, timeout: Math.max(SHORTEST_CALL, Math.min(this.#timeout, this.#interval)) };
  }
}
