import { backoffDelay } from '../../async/backoff.js';
import { monotonicNow, wallNow } from '../../async/clock.js';
import { pause } from '../../async/sleep.js';
import { type BoundedWaiting, BRIEF_REQUEST, type Cluster, type Waiting } from '../../cluster/cluster-api.js';
import { LiftbridgeError, meaningOf } from '../../errors.js';
import {
  ConsumerGroupMetadata_Error,
  type FetchConsumerGroupAssignmentsResponse,
  type JoinConsumerGroupResponse,
} from '../../protocol/generated/api.js';
import { ABANDON_TIMEOUT_MS, GROUP_BACKOFF, JOIN_MIN_TIMEOUT_MS, JOIN_SETTLE_MS } from '../timing.js';

const NANOSECONDS = 1_000_000n;

/** The result of a join: `joined` by this call, or `member` before it, also as far as the cluster knows. */
export type Joined = 'joined' | 'member';

/** A member of a consumer group: its view of the group, and the calls that it makes as a member. */
export class Membership {
  readonly #cluster: Cluster;
  #coordinator = '';
  #epoch = 0n;
  /** The epoch in which this member was certainly in the group: of its join, or of its last poll that counts. */
  #memberEpoch = 0n;
  #consumerTimeout = 15_000;
  #coordinatorTimeout = 15_000;
  #lastContact = monotonicNow();
  #lastProof = { at: monotonicNow(), wall: wallNow() };
  #lastPoll = this.#lastProof;
  #joinedAt = Number.NEGATIVE_INFINITY;
  #term = 0;
  #lapsed = false;
  #mayBeReplaced = false;
  #replaced = false;

  constructor(
    cluster: Cluster,
    readonly groupId: string,
    readonly consumerId: string,
  ) {
    this.#cluster = cluster;
  }

  /** Epoch of the group as far as this member knows. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** Counts the times that this member may have come back to the group: partitions that were acquired in an earlier term may have had other owners since. */
  get term(): number {
    return this.#term;
  }

  /** Milliseconds without a poll after which the coordinator takes a member out of the group. */
  get consumerTimeout(): number {
    return this.#consumerTimeout;
  }

  /** Milliseconds without an answer after which the coordinator is to be reported. */
  get coordinatorTimeout(): number {
    return this.#coordinatorTimeout;
  }

  /** Milliseconds since the coordinator has last answered. */
  get silence(): number {
    return monotonicNow() - this.#lastContact;
  }

  /**
   * Whether the member cannot have been expired: its last proof of membership is not older than the group's timeout.
   * Proof is an answered poll, or any broker that says that the group has not changed, since every expiry changes it. The
   * monotonic clock may stand still while the machine sleeps, so the wall clock counts as well.
   */
  get isCurrent(): boolean {
    const { at, wall } = this.#lastProof;
    return !this.#lapsed && Math.max(monotonicNow() - at, wallNow() - wall) <= this.#consumerTimeout;
  }

  /** Whether the member may have been expired before the last poll that was answered; until `confirm`. */
  get lapsed(): boolean {
    return this.#lapsed;
  }

  /** The last poll was that of a member, whose partitions are those of this term. */
  confirm(): void {
    this.#lapsed = false;
    this.#mayBeReplaced = false;
    this.#lastProof = this.#lastPoll;
    this.#memberEpoch = this.#epoch;
  }

  /** Begins another term without a join: partitions that were acquired before may have had other owners since. */
  renewTerm(): void {
    this.#term++;
  }

  /** Whether the member may have been expired since it joined: another process may have joined under its id then. */
  get mayBeReplaced(): boolean {
    return this.#mayBeReplaced;
  }

  /** Whether the coordinator may not have applied the join yet. */
  get isSettling(): boolean {
    return monotonicNow() - this.#joinedAt < JOIN_SETTLE_MS;
  }

  /**
   * Joins the group, again and again while the cluster elects a leader or recovers. A refusal because of this id means
   * that this member is in the group still, once it has joined. Rejects with CONSUMER_EXISTS for an id that another
   * member has, NO_SUCH_STREAM, or the last failure when the time is up.
   */
  async join(
    streams: readonly string[],
    { signal, timeout }: BoundedWaiting & { readonly signal: AbortSignal },
  ): Promise<Joined> {
    const deadline = monotonicNow() + timeout;
    /** The last failure of an attempt that may have been carried out all the same. */
    let doubt: unknown = null;
    /** The last failure of the application's own function: it is the reason when the time is up. */
    let handlerFailure: unknown = null;
    for (let attempt = 1; ; attempt++) {
      try {
        this.#joined(await this.#tryJoin(streams, signal, deadline, timeout));
        return 'joined';
      } catch (error) {
        const exists = meaningOf(error) === 'already-member';
        if (exists && this.#term > 0) {
          this.#mayBeReplaced = true;
          return 'member';
        }
        if (isDoubtful(error)) doubt = error;
        if (LiftbridgeError.is(error, 'HANDLER_FAILED')) handlerFailure = error;
        const delay = backoffDelay(attempt, GROUP_BACKOFF);
        const passes = exists ? doubt !== null : isTemporary(error);
        if (!passes || signal.aborted || monotonicNow() + delay >= deadline) {
          if (this.#term === 0 && (doubt !== null || signal.aborted)) this.#abandon();
          if (handlerFailure !== null && LiftbridgeError.is(error, 'TIMEOUT')) throw handlerFailure;
          throw exists ? (doubt ?? error) : error;
        }
        // An attempt whose answer was lost was carried out after all: leaving makes way for one that is answered.
        if (exists && (await this.#hasLeft(signal))) doubt = null;
        this.#cluster.emit('retry', { operation: 'JoinConsumerGroup', attempt, delay, error });
        await pause(delay, signal);
        signal.throwIfAborted();
      }
    }
  }

  /** The membership belongs to another process that has the same id: `leave` must not end it. */
  markReplaced(): void {
    this.#replaced = true;
  }

  /** Leaves the group; it also succeeds when the member was not in the group any more. */
  async leave(waiting: Waiting): Promise<void> {
    if (this.#replaced) return;
    try {
      const { groupId, consumerId } = this;
      await this.#cluster.callAny('leaveConsumerGroup', { groupId, consumerId }, waiting);
    } catch (error) {
      if (!isNoMember(error)) throw error;
    }
  }

  /** Asks the coordinator for the assignments, which keeps the member alive. `confirm` makes the answer a proof of that. */
  async poll(waiting: Waiting): Promise<FetchConsumerGroupAssignmentsResponse> {
    const { groupId, consumerId } = this;
    const request = { groupId, consumerId, epoch: this.#epoch };
    // The answer is about a moment after this one. A process that is suspended before it reads the answer must not count from then.
    const asked = { at: monotonicNow(), wall: wallNow() };
    const answer = await this.#cluster.callBroker('fetchConsumerGroupAssignments', this.#coordinator, request, waiting);
    this.#lapsed = !this.isCurrent;
    this.#mayBeReplaced ||= this.#lapsed;
    this.#lastContact = monotonicNow();
    this.#lastPoll = asked;
    return answer;
  }

  /**
   * Looks for the coordinator and the epoch: at the coordinator itself, which knows its epoch for sure, or at any
   * broker. Returns whether something has changed. An epoch from before the join, or from any broker, may be old: it
   * counts only when it is newer than what is known, unless `anything` is.
   */
  async locate(from: 'coordinator' | 'anyone', anything: boolean, waiting: Waiting): Promise<boolean> {
    const request = { streams: [...BRIEF_REQUEST], groups: [this.groupId] };
    const asked = { at: monotonicNow(), wall: wallNow() };
    const { groupMetadata } =
      from === 'coordinator'
        ? await this.#cluster.callBroker('fetchMetadata', this.#coordinator, request, waiting)
        : await this.#cluster.callAny('fetchMetadata', request, waiting);
    const found = groupMetadata.find(({ groupId }) => groupId === this.groupId);
    if (found === undefined || found.error !== ConsumerGroupMetadata_Error.OK || found.coordinator === '') return false;
    if (found.epoch === this.#epoch && found.coordinator === this.#coordinator) {
      // An epoch that was learned from brokers meanwhile may be that of this member's own expiry.
      if (!this.isSettling && found.epoch === this.#memberEpoch) this.#lastProof = asked;
      return false;
    }
    const mayLag = from === 'anyone' || this.isSettling;
    if (mayLag && !anything && found.epoch < this.#epoch) return false;
    this.#epoch = found.epoch;
    this.#coordinator = found.coordinator;
    return true;
  }

  /** Reports to the cluster that the coordinator does not answer. */
  async report(waiting: Waiting): Promise<void> {
    const { groupId, consumerId } = this;
    const request = { groupId, consumerId, coordinator: this.#coordinator, epoch: this.#epoch };
    await this.#cluster.callAny('reportConsumerGroupCoordinator', request, waiting);
  }

  #tryJoin(
    streams: readonly string[],
    signal: AbortSignal,
    deadline: number,
    timeout: number,
  ): Promise<JoinConsumerGroupResponse> {
    const { groupId, consumerId } = this;
    const left = Math.max(1, deadline - monotonicNow());
    return this.#cluster.callAny(
      'joinConsumerGroup',
      { groupId, consumerId, streams: [...streams] },
      { signal, timeout: Math.min(left, Math.max(JOIN_MIN_TIMEOUT_MS, timeout / 3)) },
    );
  }

  /** Leaves before another join; false when that has to be tried again. */
  async #hasLeft(signal: AbortSignal): Promise<boolean> {
    try {
      await this.leave({ signal, timeout: ABANDON_TIMEOUT_MS });
      return true;
    } catch (error) {
      if (!isTemporary(error)) throw error;
      return false;
    }
  }

  #abandon(): void {
    void this.leave({ timeout: ABANDON_TIMEOUT_MS }).catch(() => undefined);
  }

  #joined(answer: JoinConsumerGroupResponse): void {
    this.#coordinator = answer.coordinator;
    this.#epoch = answer.epoch;
    this.#memberEpoch = answer.epoch;
    this.#consumerTimeout = Number(answer.consumerTimeout / NANOSECONDS);
    this.#coordinatorTimeout = Number(answer.coordinatorTimeout / NANOSECONDS);
    this.#joinedAt = monotonicNow();
    this.#lastContact = this.#joinedAt;
    this.#mayBeReplaced = false;
    this.#term++;
  }
}

function isTemporary(error: unknown): boolean {
  return LiftbridgeError.is(error) && error.retryable;
}

/** Whether the call may have been carried out although it failed. */
function isDoubtful(error: unknown): boolean {
  if (LiftbridgeError.is(error, 'CONNECTION')) return error.outcome === 'unknown';
  return LiftbridgeError.is(error, 'TIMEOUT') || meaningOf(error) === 'unavailable';
}

/** Whether the cluster does not know the group, or does not know the member in it. */
function isNoMember(error: unknown): boolean {
  const meaning = meaningOf(error);
  return meaning === 'not-member' || meaning === 'no-group';
}
