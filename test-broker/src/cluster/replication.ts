import type { Clock, ClockTimer } from '../clock.js';
import type { Replica } from './partition.js';
import { type ClusterTiming, nextWait } from './timing.js';

/** The two ends of a {@link ReplicationLink}. */
export interface LinkEnds {
  readonly leader: string;
  readonly follower: string;
  connected(): boolean;
  /** The follower's replica of the same partition, while it is open and follows this leader. */
  counterpart(replica: Replica): Replica | undefined;
  /** The partitions that this leader leads and the follower replicates. */
  shared(): Iterable<Replica>;
  /** Proposes that the follower leaves the ISR of a partition, or enters it. */
  shrink(replica: Replica): void;
  expand(replica: Replica): void;
  warn(message: string): void;
}

const FETCH_BYTES = 1024 * 1024;

/**
 * Replicates all partitions that one broker leads to one follower. Without new messages the link is idle: an append
 * wakes it, and a fetch that returned messages is followed by another one, which reports the progress of the follower
 * to the leader. The high watermark arrives with the next fetch, or after the idle wait.
 */
export class ReplicationLink {
  readonly #ends: LinkEnds;
  readonly #clock: Clock;
  readonly #timing: ClusterTiming;
  /** Partitions to fetch. */
  #behind = new Set<Replica>();
  /** Partitions whose high watermark the follower does not know. */
  #uninformed = new Set<Replica>();
  /** Partitions that are caught up outside the ISR. */
  #returning = new Set<Replica>();
  #fetch: ClockTimer | null = null;
  #idle: ClockTimer | null = null;
  #expand: ClockTimer | null = null;
  #shrink: ClockTimer | null = null;
  /** Time since the leader of a partition has missed the follower. */
  #missedSince = new WeakMap<Replica, number>();
  /** Time of the loss of the connection. */
  #lostAt = Number.NEGATIVE_INFINITY;
  #up = false;

  constructor(ends: LinkEnds, clock: Clock, timing: ClusterTiming) {
    this.#ends = ends;
    this.#clock = clock;
    this.#timing = timing;
  }

  /** The leader has appended, or one end has changed its role: there may be messages to fetch. */
  wake(replica: Replica): void {
    if (!this.#up) {
      this.#miss(replica);
      return;
    }
    this.#behind.add(replica);
    this.#fetch ??= this.#clock.after(this.#timing.fetchLag, () => this.#fetchAll());
  }

  /** The high watermark has moved on the leader. */
  inform(replica: Replica): void {
    if (!this.#up || this.#behind.has(replica)) return;
    this.#uninformed.add(replica);
    this.#idle ??= this.#clock.after(this.#timing.idleWait, () => this.#fetchIdle());
  }

  /** Checks whether both ends still reach each other. */
  reconnect(): void {
    const up = this.#ends.connected();
    // A proposal that failed before may succeed now, so a link that stays down is checked again too.
    if (up && this.#up) return;
    if (this.#up) this.#lostAt = this.#clock.now();
    this.#up = up;
    this.#stopTimers();
    if (up) this.#missedSince = new WeakMap();
    for (const replica of this.#ends.shared()) this.wake(replica);
  }

  /** Fetches all messages of one partition without waiting. */
  catchUp(replica: Replica): void {
    if (!this.#up) return;
    while (this.#replicate(replica)) {}
  }

  close(): void {
    this.#up = false;
    this.#stopTimers();
  }

  #stopTimers(): void {
    for (const timer of [this.#fetch, this.#idle, this.#expand, this.#shrink]) timer?.cancel();
    this.#fetch = null;
    this.#idle = null;
    this.#expand = null;
    this.#shrink = null;
    this.#behind.clear();
    this.#uninformed.clear();
    this.#returning.clear();
  }

  #fetchAll(): void {
    this.#fetch = null;
    const replicas = this.#behind;
    this.#behind = new Set();
    this.#fetchEach(replicas);
  }

  #fetchIdle(): void {
    this.#idle = null;
    const replicas = this.#uninformed;
    this.#uninformed = new Set();
    this.#fetchEach(replicas);
  }

  #fetchEach(replicas: Iterable<Replica>): void {
    for (const replica of replicas) {
      try {
        if (this.#replicate(replica)) this.wake(replica);
      } catch (error) {
        const { follower } = this.#ends;
        this.#ends.warn(
          `${follower} could not replicate partition ${replica.id} of ${replica.stream}: ${String(error)}`,
        );
      }
    }
  }

  /** Runs one request and its response. Returns whether it brought messages. */
  #replicate(replica: Replica): boolean {
    const follower = replica.leading ? this.#ends.counterpart(replica) : undefined;
    if (!follower) return false;
    follower.alignWith(replica);
    const { newestOffset } = follower.log;
    // The response carries the old high watermark: the next response reports what this request commits.
    const highWatermark = replica.log.highWatermark;
    const slice = replica.log.slice(newestOffset + 1, FETCH_BYTES);
    replica.replicated(this.#ends.follower, newestOffset);
    if (slice.count > 0) follower.log.appendSlice(slice);
    follower.log.setHighWatermark(highWatermark);
    if (slice.count > 0) return true;
    if (follower.log.highWatermark < replica.log.highWatermark) this.inform(replica);
    if (!replica.state.isr.has(this.#ends.follower)) this.#welcomeBack(replica);
    return false;
  }

  #welcomeBack(replica: Replica): void {
    this.#returning.add(replica);
    this.#expand ??= this.#clock.after(this.#timing.replicaLag, () => this.#expandAll());
  }

  #expandAll(): void {
    this.#expand = null;
    const replicas = this.#returning;
    this.#returning = new Set();
    for (const replica of replicas) {
      if (replica.leading && !replica.state.isr.has(this.#ends.follower)) this.#ends.expand(replica);
    }
  }

  /** A leader waits the full time for a silent follower, also when it has only just started to lead. */
  #miss(replica: Replica): void {
    if (!replica.state.isr.has(this.#ends.follower)) return;
    if (!this.#missedSince.has(replica)) this.#missedSince.set(replica, this.#missingFrom());
    this.#shrinkLater(Math.max(0, this.#patienceWith(replica)));
  }

  #missingFrom(): number {
    const now = this.#clock.now();
    const { lagAnew, replicaLag } = this.#timing;
    return lagAnew || now - this.#lostAt > replicaLag ? now : this.#lostAt;
  }

  #shrinkLater(ms: number): void {
    this.#shrink ??= this.#clock.after(ms, () => this.#shrinkAll(ms));
  }

  /** Retries failed proposals at growing intervals. */
  #shrinkAll(waited: number): void {
    this.#shrink = null;
    let next = nextWait(waited);
    for (const replica of this.#insync()) {
      const left = this.#patienceWith(replica);
      if (left > 0) next = Math.min(next, left);
      else this.#ends.shrink(replica);
    }
    if (this.#insync().length > 0) this.#shrinkLater(next);
  }

  /** Milliseconds until the follower has been missed for too long. */
  #patienceWith(replica: Replica): number {
    const now = this.#clock.now();
    return (this.#missedSince.get(replica) ?? now) + this.#timing.replicaLag - now;
  }

  /** The partitions with the follower in their ISR. */
  #insync(): readonly Replica[] {
    return [...this.#ends.shared()].filter((replica) => replica.state.isr.has(this.#ends.follower));
  }
}
