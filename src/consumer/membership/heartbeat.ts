import { backoffDelay } from '../../async/backoff.js';
import { monotonicNow } from '../../async/clock.js';
import { type Deferred, deferred } from '../../async/deferred.js';
import { pause } from '../../async/sleep.js';
import { clearTimeout, setTimeout } from '../../async/timers.js';
import type { BoundedWaiting, Cluster } from '../../cluster/cluster-api.js';
import type { FetchConsumerGroupAssignmentsResponse } from '../../protocol/generated/api.js';
import {
  DENIAL_LIMIT_MS,
  GROUP_BACKOFF,
  LOCATE_STEP_MS,
  POLL_MIN_TIMEOUT_MS,
  REPORT_INTERVAL_MS,
  STALLED_POLL_INTERVAL_MS,
} from '../timing.js';
import type { Joined, Membership } from './membership.js';
import { pollFailure } from './poll-failure.js';

/** After this many failures in a row an earlier epoch counts as that of a group that was created again. */
const FAILURES_UNTIL_ANY_EPOCH = 3;

/** Receives the events of a heartbeat. */
export interface HeartbeatEvents {
  /**
   * What the coordinator assigns; `recovered` for the first answer after it was away or denied this member. False when
   * the group has lost what this member subscribed to: it has to leave and to join again.
   */
  assigned(answer: FetchConsumerGroupAssignmentsResponse, recovered: boolean): boolean;
  /** Whether the id belongs to this process still. Rejects when that cannot be told at the moment. */
  isOwn(): Promise<boolean>;
  /** Another process has joined with the id of this member. */
  replaced(): void;
  /** The member certainly is one still, although the coordinator does not answer. */
  current(): void;
  /** Whether a broker was told to stop sending: it cannot tell then that a partition went to another member. */
  isStalled(): boolean;
  /**
   * The coordinator does not know this member: joins again, after leaving where `leaveFirst`. Returns `member` where the
   * cluster still counts it as one. Rejects when joining is impossible for good.
   */
  denied(leaveFirst: boolean): Promise<Joined>;
  /** It has failed for good. */
  failed(error: unknown): void;
}

/** Polls the assignments at an interval, and follows changes of epoch and coordinator. */
export class Heartbeat {
  readonly #membership: Membership;
  readonly #events: HeartbeatEvents;
  readonly #cluster: Pick<Cluster, 'emit' | 'logger'>;
  readonly #timeout: number;
  readonly #stopped = new AbortController();
  #interval: number;
  #wake: () => void = () => undefined;
  #hurry = false;
  #confirmations: Deferred[] = [];
  #reported = 0;
  #failures = 0;
  /** Delay that follows the last failure. */
  #delay = 0;
  #deniedSince: number | null = null;
  /** Whether the coordinator was away, or denied this member, since its last answer. */
  #away = false;
  #done: Promise<void> = Promise.resolve();

  /** Milliseconds: `interval` between polls, `timeout` for one call. */
  constructor(
    membership: Membership,
    interval: number,
    timeout: number,
    events: HeartbeatEvents,
    cluster: Pick<Cluster, 'emit' | 'logger'>,
  ) {
    this.#membership = membership;
    this.#interval = interval;
    this.#timeout = timeout;
    this.#events = events;
    this.#cluster = cluster;
  }

  start(): void {
    this.#done = this.#beat();
  }

  /** Polls now instead of later. */
  hurry(): void {
    this.#hurry = true;
    this.#wake();
  }

  /** Resolves when a poll that began after this call was answered, and its answer was applied. */
  waitUntilConfirmed(): Promise<void> {
    const confirmed = deferred();
    this.#confirmations.push(confirmed);
    this.hurry();
    return confirmed.promise;
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
        if (this.#membership.mayBeReplaced && !(await this.#events.isOwn())) {
          this.#events.replaced();
          return;
        }
        if (this.#signal.aborted) return;
        const recovered = this.#away;
        this.#failures = 0;
        this.#deniedSince = null;
        this.#away = false;
        if (this.#events.assigned(answer, recovered)) {
          for (const confirmed of waiting.splice(0)) confirmed.resolve();
          await this.#waitForNextPoll();
          continue;
        }
        this.#confirmations.unshift(...waiting.splice(0));
        if (!(await this.#succeeds(() => this.#events.denied(true)))) return;
      } catch (error) {
        this.#confirmations.unshift(...waiting);
        if (this.#signal.aborted) return;
        if (!(await this.#overcome(error))) return;
      }
    }
  }

  async #overcome(error: unknown): Promise<boolean> {
    this.#delay = backoffDelay(++this.#failures, GROUP_BACKOFF);
    this.#cluster.logger.debug(
      { error, group: this.#membership.groupId },
      'polling the assignments of a consumer group failed',
    );
    return await this.#succeeds(() => this.#remedy(error));
  }

  /** False when the work has failed for good: the consumer ends with that. */
  async #succeeds(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (fatal) {
      if (!this.#signal.aborted) this.#events.failed(fatal);
      return false;
    }
  }

  async #remedy(error: unknown): Promise<void> {
    const failure = pollFailure(error);
    this.#away ||= failure === 'denied' || failure === 'unreachable';
    switch (failure) {
      case 'fatal':
        throw error;
      case 'denied':
        this.#emitRetry(error);
        await this.#joinAgain();
        return;
      case 'stale-epoch':
        await this.#look('coordinator');
        return;
      default:
        this.#emitRetry(error);
        await this.#look('anyone');
        this.#report();
    }
  }

  #emitRetry(error: unknown): void {
    const [attempt, delay] = [this.#failures, this.#delay];
    this.#cluster.emit('retry', { operation: 'FetchConsumerGroupAssignments', attempt, delay, error });
  }

  /**
   * A coordinator that has just been restarted, or that has not applied the join yet, denies a member that the cluster
   * has: only the metadata leader can tell an expired one from that.
   */
  async #joinAgain(): Promise<void> {
    const now = monotonicNow();
    this.#deniedSince ??= now;
    if (this.#membership.isSettling) await pause(this.#delay, this.#signal);
    else if ((await this.#events.denied(now - this.#deniedSince > DENIAL_LIMIT_MS)) === 'member')
      await this.#look('anyone');
    else {
      this.#deniedSince = null;
      this.#failures = 0;
      this.#away = false;
    }
  }

  async #look(from: 'coordinator' | 'anyone'): Promise<void> {
    const { signal, timeout } = this.#bounds;
    const bounds = { signal, timeout: Math.min(timeout, LOCATE_STEP_MS * this.#failures) };
    try {
      if (await this.#membership.locate(from, this.#failures >= FAILURES_UNTIL_ANY_EPOCH, bounds)) return;
      if (this.#membership.isCurrent) this.#events.current();
    } catch (error) {
      this.#cluster.logger.debug(
        { error, group: this.#membership.groupId },
        'looking for the coordinator of a group failed',
      );
    }
    await pause(this.#delay, this.#signal);
  }

  /** In the background: the search for the coordinator continues meanwhile. */
  #report(): void {
    if (this.#membership.silence < this.#membership.coordinatorTimeout) return;
    if (monotonicNow() - this.#reported < REPORT_INTERVAL_MS || this.#signal.aborted) return;
    this.#reported = monotonicNow();
    this.#membership.report(this.#bounds).catch((error: unknown) => {
      this.#cluster.logger.debug(
        { error, group: this.#membership.groupId },
        'reporting the coordinator of a group failed',
      );
    });
  }

  async #waitForNextPoll(): Promise<void> {
    const ends = monotonicNow() + this.#interval;
    for (let left = this.#interval; left > 0; left = ends - monotonicNow()) {
      if (this.#hurry || this.#signal.aborted) return;
      await this.#sleep(Math.min(left, STALLED_POLL_INTERVAL_MS));
      if (this.#events.isStalled()) return;
    }
  }

  async #sleep(ms: number): Promise<void> {
    const woken = deferred();
    const timer = setTimeout(woken.resolve, ms);
    this.#wake = woken.resolve;
    await woken.promise;
    clearTimeout(timer);
  }

  get #bounds(): BoundedWaiting {
    return { signal: this.#signal, timeout: Math.max(POLL_MIN_TIMEOUT_MS, Math.min(this.#timeout, this.#interval)) };
  }
}
