import { monotonicNow } from '../async/clock.js';
import { CursorsDisabledError, LiftbridgeError } from '../errors.js';
import type { FetchConsumerGroupAssignmentsResponse } from '../protocol/generated/api.js';
import { Announcements } from './announcements.js';
import { Assignments, type PartitionMap } from './assignments.js';
import { Checkpoints } from './checkpoints.js';
import { pollInterval, type ResolvedConsumerOptions } from './consumer-options.js';
import type { ConsumerContext } from './context.js';
import { Heartbeat } from './heartbeat.js';
import type { HeldPartition } from './held-partition.js';
import { Intake } from './intake.js';
import { Membership } from './membership.js';
import { Ownership } from './ownership.js';
import { pause, unlessAborted, within } from './pauses.js';
import { StreamWatch } from './stream-watch.js';

/** Share of the group's timeout that an owner has to say that it is about to give a partition up; milliseconds. */
const SILENCE = { share: 0.2, least: 1_500, most: 3_000 };
/** Milliseconds that the calls of the last owner may take beside `revokeTimeout`. */
const STORE_TIME = 5_000;
const LEAVE_TIME = 3_000;
const CURSORS = '__cursors';

/** What a session is for. */
export interface SessionPlan {
  readonly context: ConsumerContext;
  readonly groupId: string;
  readonly options: ResolvedConsumerOptions;
  readonly streams: readonly string[];
  /** Told once when it cannot go on; `stop` is to be called then. */
  readonly failed: () => void;
}

/** The time that a consumer is a member of its group, from joining to leaving: it puts the parts together. */
export class Session {
  readonly intake = new Intake();
  readonly #plan: SessionPlan;
  readonly #membership: Membership;
  readonly #checkpoints: Checkpoints;
  readonly #heartbeat: Heartbeat;
  readonly #assignments: Assignments;
  readonly #watch: StreamWatch;
  readonly #stopping = new AbortController();
  #epoch = -1n;
  #firstAnswer: () => void = () => undefined;
  #stopped: Promise<void> | null = null;

  /** Joins the group, and resolves when the first partitions are being read, as far as that depends on this member. */
  static async start(plan: SessionPlan, signal: AbortSignal, timeout: number): Promise<Session> {
    const deadline = monotonicNow() + timeout;
    await requireCursors(plan.context, signal, timeout);
    const { context, groupId, options } = plan;
    const membership = new Membership(context.cluster, groupId, options.consumerId);
    await membership.join(plan.streams, { signal, timeout: Math.max(1, deadline - monotonicNow()) });
    let session: Session;
    try {
      session = new Session(plan, membership, pollInterval(options, membership.consumerTimeout));
    } catch (error) {
      await membership.leave({ timeout: LEAVE_TIME }).catch(() => undefined);
      throw error;
    }
    await session.#begin(signal, deadline);
    return session;
  }

  private constructor(plan: SessionPlan, membership: Membership, interval: number) {
    const { context, groupId, options } = plan;
    this.#plan = plan;
    this.#membership = membership;
    const ownership = new Ownership(context, groupId);
    const checkpoints = new Checkpoints(context, membership, ownership);
    this.#checkpoints = checkpoints;
    this.#heartbeat = this.#newHeartbeat(interval);
    this.#watch = new StreamWatch(context.cluster, plan.streams, {
      refreshed: () => this.#assignments.metadataChanged(),
      deleted: (error) => this.#report(error),
      failed: (error) => this.fail(error),
    });
    const silence = Math.min(SILENCE.most, Math.max(SILENCE.least, membership.consumerTimeout * SILENCE.share));
    const patience = options.revokeTimeout;
    this.#assignments = new Assignments(
      context,
      membership,
      new Announcements(options.onAssigned, (error) => this.fail(error)),
      {
        cluster: context.cluster,
        groupId,
        autoOffset: options.autoOffset,
        checkpoints,
        ownership,
        silence,
        patience: patience + STORE_TIME,
        confirmed: () => this.#heartbeat.confirmed(),
      },
      {
        checkpoints,
        ownership,
        onRevoked: options.onRevoked,
        patience,
        storeTimeout: STORE_TIME,
        report: (error) => this.#report(error),
      },
      {
        ready: (held) => this.intake.offer(held),
        lost: (held) => this.#assignments.lost(held),
        gone: (held, error) => {
          if (LiftbridgeError.is(error, 'STREAM_DELETED')) this.#watch.gone(held.stream);
          else this.#watch.look();
        },
        failed: (_held, error) => this.fail(error),
        hurry: () => this.#heartbeat.hurry(),
      },
    );
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

  /** Ends it with an error for whoever processes the messages. */
  fail(error: unknown): void {
    if (this.intake.over !== null) return;
    this.intake.end({ error });
    this.#plan.failed();
  }

  /**
   * Ends it: gives every partition up, waiting so many milliseconds for what is being processed, and leaves the group.
   * Bounded, never rejects: what goes wrong is reported as 'asyncError'.
   */
  stop(patience: number): Promise<void> {
    this.intake.end('clean');
    this.#stopped ??= this.#stop(patience);
    return this.#stopped;
  }

  async #begin(signal: AbortSignal, deadline: number): Promise<void> {
    const answered = new Promise<void>((resolve) => {
      this.#firstAnswer = resolve;
    });
    this.#heartbeat.start();
    const { autoCheckpoint } = this.#plan.options;
    if (autoCheckpoint !== false) this.#checkpoints.start(autoCheckpoint, () => this.held);
    const begun = answered.then(() => this.#assignments.underWay());
    const over = AbortSignal.any([signal, this.#stopping.signal]);
    try {
      await unlessAborted(within(deadline - monotonicNow(), begun), over);
    } catch {
      // What it failed of is for the loop to throw.
      if (this.intake.over !== null || !signal.aborted) return;
      void this.stop(0);
      throw signal.reason;
    }
  }

  async #stop(patience: number): Promise<void> {
    this.#stopping.abort();
    this.#checkpoints.stop();
    this.#watch.stop();
    await this.#heartbeat.stop();
    await this.#assignments.releaseAll(patience, STORE_TIME);
    try {
      await this.#membership.leave({ timeout: LEAVE_TIME });
    } catch (error) {
      this.#report(error);
    }
  }

  #newHeartbeat(interval: number): Heartbeat {
    const { cluster, requestTimeout } = this.#plan.context;
    const events = {
      assigned: (answer: FetchConsumerGroupAssignmentsResponse) => this.#assigned(answer),
      isStalled: () => [...this.held].some((held) => held.isStalled),
      expired: () => this.#rejoin(),
      failed: (error: unknown) => this.fail(error),
    };
    return new Heartbeat(this.#membership, interval, requestTimeout, events, cluster.logger);
  }

  #assigned({ epoch, assignments }: FetchConsumerGroupAssignmentsResponse): void {
    const { assigned, revoked } = this.#assignments.reconcile(assignments, epoch);
    this.#firstAnswer();
    if (epoch === this.#epoch && assigned.size === 0 && revoked.size === 0) return;
    this.#epoch = epoch;
    if (assignments.length === 0) this.#watch.look();
    const { groupId, consumerId } = this.#membership;
    this.#plan.context.cluster.emit('rebalance', {
      groupId,
      consumerId,
      epoch,
      assignments: this.map,
      assigned,
      revoked,
    });
  }

  /** The partitions are kept meanwhile: what others were given, they take. */
  async #rejoin(): Promise<void> {
    const { cluster, requestTimeout } = this.#plan.context;
    const { groupId } = this.#membership;
    cluster.logger.warn({ group: groupId }, 'the consumer was taken out of its group and joins again');
    const signal = this.#stopping.signal;
    for (;;) {
      try {
        await this.#membership.join(this.#watch.streams, { signal, timeout: requestTimeout });
        this.#epoch = -1n; // A group that was made anew begins with an epoch that it has had before.
        this.#heartbeat.interval = pollInterval(this.#plan.options, this.#membership.consumerTimeout);
        return;
      } catch (error) {
        await this.#mayRejoin(error);
      }
      await pause(1_000, signal);
      signal.throwIfAborted();
    }
  }

  /** Throws the error when joining again is hopeless. */
  async #mayRejoin(error: unknown): Promise<void> {
    if (LiftbridgeError.is(error, 'NO_SUCH_STREAM')) {
      const before = this.#watch.streams.length;
      await this.#watch.check();
      if (this.#watch.streams.length < before) return;
    } else if (LiftbridgeError.is(error) && error.retryable) return;
    throw error;
  }

  #report(error: unknown): void {
    const { cluster } = this.#plan.context;
    cluster.logger.error({ error, group: this.#membership.groupId }, 'a consumer had a problem that nobody waits for');
    cluster.emit('asyncError', LiftbridgeError.from(error));
  }
}

/** Without cursors a group has no positions. A cluster that has just started may not have made the stream yet. */
async function requireCursors({ cluster }: ConsumerContext, signal: AbortSignal, timeout: number): Promise<void> {
  for (let look = 1; cluster.partitionCount(CURSORS) === 0; look++) {
    if (look > 5)
      throw new CursorsDisabledError(
        'consumer.subscribe failed: the server keeps no cursors, and so no positions of consumer groups. Set cursors.stream.partitions above 0 on the server.',
        { operation: 'consumer.subscribe' },
      );
    if (look > 1) await pause(50, signal);
    await cluster.refresh([CURSORS], { signal, timeout });
  }
}
