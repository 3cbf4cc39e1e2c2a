import { monotonicNow } from '../async/clock.js';
import { orAbort, within } from '../async/deadline.js';
import { type Deferred, deferred } from '../async/deferred.js';
import { LiftbridgeError } from '../errors.js';
import type { FetchConsumerGroupAssignmentsResponse, PartitionAssignment } from '../protocol/generated/api.js';
import { pollInterval, type ResolvedConsumerOptions } from './consumer-options.js';
import type { ConsumerContext } from './context.js';
import { ReadyQueue } from './delivery/ready-queue.js';
import { Heartbeat } from './membership/heartbeat.js';
import { Identity, idTaken } from './membership/identity.js';
import { type Joined, Membership } from './membership/membership.js';
import { isFatal } from './membership/poll-failure.js';
import { joinAgain } from './membership/rejoin.js';
import { StreamWatch } from './membership/stream-watch.js';
import type { Assignments, PartitionMap } from './partitions/assignments.js';
import type { Checkpoints } from './partitions/checkpoints.js';
import type { HeldPartition } from './partitions/held-partition.js';
import { partitionParts } from './partitions/partition-parts.js';
import { requireCursors } from './partitions/wait-for-cursors.js';
import type { WriteProbe } from './partitions/write-probe.js';
import { CLOSE_GRACE_MS, CLOSE_RESERVE_MS, LEAVE_TIMEOUT_MS, STORE_SHARE } from './timing.js';

/** Settings and dependencies of a session. */
export interface SessionPlan {
  readonly context: ConsumerContext;
  readonly groupId: string;
  readonly options: ResolvedConsumerOptions;
  readonly streams: readonly string[];
  /** Called once when it cannot continue; `stop` must be called then. */
  readonly failed: () => void;
}

/** The time that a consumer is a member of its group, from joining to leaving: it puts the parts together. */
export class Session {
  readonly readyQueue: ReadyQueue;
  readonly #plan: SessionPlan;
  readonly #membership: Membership;
  readonly #checkpoints: Checkpoints;
  readonly #heartbeat: Heartbeat;
  readonly #assignments: Assignments;
  readonly #watch: StreamWatch;
  readonly #probe: WriteProbe;
  /** Null for a random id, which no other process has. */
  readonly #identity: Identity | null;
  readonly #stopping = new AbortController();
  #epoch = -1n;
  readonly #firstAnswer: Deferred<void> = deferred();
  #stop: Promise<void> | null = null;
  readonly #stopped = deferred();

  /** Joins the group, and resolves when the first partitions are being read, as far as that depends on this member. */
  static async start(plan: SessionPlan, signal: AbortSignal, timeout: number): Promise<Session> {
    const deadline = monotonicNow() + timeout;
    await requireCursors(plan.context.cluster, signal, timeout);
    const { context, groupId, options } = plan;
    const membership = new Membership(context.cluster, groupId, options.consumerId);
    await membership.join(plan.streams, { signal, timeout: Math.max(1, deadline - monotonicNow()) });
    let session: Session;
    try {
      session = new Session(plan, membership, pollInterval(options, membership.consumerTimeout));
    } catch (error) {
      await membership.leave({ timeout: LEAVE_TIMEOUT_MS }).catch(() => undefined);
      throw error;
    }
    await session.#begin(signal, deadline);
    return session;
  }

  private constructor(plan: SessionPlan, membership: Membership, interval: number) {
    const { context, groupId, options } = plan;
    this.#plan = plan;
    this.#membership = membership;
    this.readyQueue = new ReadyQueue({
      get isCurrent() {
        return membership.isCurrent;
      },
      renew: () => this.#heartbeat.hurry(),
    });
    const parts = partitionParts({ context, groupId, options }, membership, {
      ready: (held) => this.readyQueue.offer(held),
      gone: (stream, deletedBy) => this.#watch.look(stream, deletedBy),
      hurry: () => this.#heartbeat.hurry(),
      waitUntilConfirmed: () => this.#heartbeat.waitUntilConfirmed(),
      fail: (error) => this.fail(error),
      report: (error) => this.#report(error),
    });
    this.#identity = options.isNamed ? new Identity(context, membership, parts.ownership.self) : null;
    this.#checkpoints = parts.checkpoints;
    this.#probe = parts.probe;
    this.#assignments = parts.assignments;
    this.#heartbeat = this.#newHeartbeat(interval);
    this.#watch = new StreamWatch(context.cluster, plan.streams, {
      refreshed: () => this.#assignments.metadataChanged(),
      deleted: (error) => this.#report(error),
      failed: (error) => this.fail(error),
    });
  }

  /** Resolves when `stop` is done. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  /** Every partition that is held. */
  get held(): Iterable<HeldPartition> {
    return this.#assignments.held;
  }

  /** Stream to partitions that are held. */
  get map(): PartitionMap {
    return this.#assignments.map;
  }

  /** Stores what was processed of every partition. Rejects with a LiftbridgeError. */
  checkpoint(): Promise<void> {
    return this.#checkpoints.storeAll(this.held);
  }

  /** Ends it with an error for the loop or the runner. */
  fail(error: unknown): void {
    if (this.readyQueue.over !== null) return;
    this.readyQueue.end({ error });
    this.#plan.failed();
  }

  /**
   * Ends it: releases every partition, waits up to `patience` milliseconds for messages in progress, and leaves the group.
   * Takes no longer than `timeout` and never rejects: failures are reported as 'asyncError'.
   */
  stop(patience: number, timeout = patience + CLOSE_GRACE_MS): Promise<void> {
    this.readyQueue.end('clean');
    this.#stop ??= this.#leave(patience, timeout).finally(this.#stopped.resolve);
    return this.#stop;
  }

  async #begin(signal: AbortSignal, deadline: number): Promise<void> {
    this.#heartbeat.start();
    void this.#identity?.claim(this.#stopping.signal);
    const { autoCheckpoint } = this.#plan.options;
    if (autoCheckpoint !== false) this.#checkpoints.start(autoCheckpoint, () => this.held);
    const begun = this.#firstAnswer.promise.then(() => this.#assignments.waitUntilOwnWorkDone());
    const over = AbortSignal.any([signal, this.#stopping.signal]);
    try {
      await orAbort(within(deadline - monotonicNow(), begun), over);
    } catch {
      const { over } = this.readyQueue;
      // Any other failure is thrown by the loop.
      const failure = over !== null && over !== 'clean' && isFatal(over.error) ? over : null;
      if (failure === null && (over !== null || !signal.aborted)) return;
      void this.stop(0);
      throw failure === null ? signal.reason : failure.error;
    }
    for (const held of this.held) if (held.trouble.error !== null) this.#report(held.trouble.error);
  }

  async #leave(patience: number, timeout: number): Promise<void> {
    const ends = monotonicNow() + timeout;
    const left = (): number => Math.max(1, ends - monotonicNow());
    this.#stopping.abort();
    this.#checkpoints.stop();
    this.#watch.stop();
    this.#probe.stop();
    await this.#heartbeat.stop();
    const waits = Math.min(patience, Math.max(left() / 2, left() - CLOSE_RESERVE_MS));
    const stores = Math.min(CLOSE_GRACE_MS, left() - waits) * STORE_SHARE;
    await within(left(), this.#assignments.releaseAll(waits, stores));
    try {
      await this.#membership.leave({ timeout: Math.min(LEAVE_TIMEOUT_MS, left()) });
    } catch (error) {
      this.#report(error);
    }
  }

  #newHeartbeat(interval: number): Heartbeat {
    const { cluster, requestTimeout } = this.#plan.context;
    const events = {
      assigned: (answer: FetchConsumerGroupAssignmentsResponse, recovered: boolean) =>
        this.#assigned(answer, recovered),
      isOwn: async () => (await this.#identity?.isOwn({ signal: this.#stopping.signal })) ?? true,
      replaced: () => {
        this.#membership.markReplaced();
        this.fail(idTaken(this.#membership));
      },
      current: () => this.readyQueue.resume(),
      isStalled: () => [...this.held].some((held) => held.isStalled),
      denied: (leaveFirst: boolean) => this.#joinAgain(leaveFirst),
      failed: (error: unknown) => this.fail(error),
    };
    return new Heartbeat(this.#membership, interval, requestTimeout, events, cluster);
  }

  #assigned({ epoch, assignments }: FetchConsumerGroupAssignmentsResponse, recovered: boolean): boolean {
    if (recovered && epoch !== this.#epoch && this.#hasLostStream(assignments)) return false;
    // While the group has not changed, its partitions were not assigned to other members. A new group begins at epoch 0.
    if (this.#membership.lapsed && this.#epoch >= 0n && (epoch !== this.#epoch || epoch === 0n)) {
      this.#membership.renewTerm();
      this.#expire();
    }
    this.#membership.confirm();
    const { assigned, revoked } = this.#assignments.reconcile(assignments, epoch);
    this.#firstAnswer.resolve();
    this.readyQueue.resume();
    if (epoch === this.#epoch && assigned.size === 0 && revoked.size === 0) return true;
    this.#epoch = epoch;
    if (assignments.length === 0) for (const stream of this.#watch.streams) this.#watch.look(stream);
    const { groupId, consumerId } = this.#membership;
    const change = { groupId, consumerId, epoch, assignments: this.map, assigned, revoked };
    this.#plan.context.cluster.emit('rebalance', change);
    return true;
  }

  /**
   * A coordinator that was restarted may bring a group back without a stream that was ever deleted and created again,
   * under a greater epoch. A member that then has nothing of a stream that it had a part of must leave and join again;
   * where others were given all of it meanwhile, that does no harm.
   */
  #hasLostStream(assignments: readonly PartitionAssignment[]): boolean {
    const given = new Set(assignments.map(({ stream }) => stream));
    return [...this.#assignments.known].some((stream) => !given.has(stream) && this.#watch.streams.includes(stream));
  }

  /** Partitions are kept until the metadata leader has said that this member is not in the group any more. */
  async #joinAgain(leaveFirst: boolean): Promise<Joined> {
    const { cluster, requestTimeout } = this.#plan.context;
    const deps = {
      membership: this.#membership,
      watch: this.#watch,
      joinTimeout: requestTimeout,
      leaveTimeout: LEAVE_TIMEOUT_MS,
      signal: this.#stopping.signal,
      release: () => {
        this.#expire();
        return this.#assignments.waitUntilReleased();
      },
    };
    const joined = await joinAgain(deps, leaveFirst);
    if (joined === 'member') return joined;
    const { groupId, consumerTimeout } = this.#membership;
    cluster.logger.warn({ group: groupId }, 'the consumer was not in its group and has joined again');
    this.#expire();
    void this.#identity?.claim(this.#stopping.signal);
    this.#heartbeat.interval = pollInterval(this.#plan.options, consumerTimeout);
    return joined;
  }

  /** Other members may have had the partitions meanwhile: they are released, and acquired again where they are assigned. */
  #expire(): void {
    const { groupId, consumerId, epoch } = this.#membership;
    const revoked = this.#assignments.expire();
    this.#epoch = -1n; // A group that was created again begins with an epoch that it has had before.
    if (revoked.size === 0) return;
    const none: PartitionMap = new Map();
    const change = { groupId, consumerId, epoch, assignments: none, assigned: none, revoked };
    this.#plan.context.cluster.emit('rebalance', change);
  }

  #report(error: unknown): void {
    const { cluster } = this.#plan.context;
    cluster.logger.error(
      { err: error, group: this.#membership.groupId },
      'a consumer had a problem that no caller waits for',
    );
    cluster.emit('asyncError', LiftbridgeError.from(error));
  }
}
