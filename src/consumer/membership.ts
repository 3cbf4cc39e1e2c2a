import { monotonicNow } from '../async/clock.js';
import type { Cluster, Waiting } from '../cluster/contract.js';
import { type ConnectionError, LiftbridgeError, type ServerError } from '../errors.js';
import {
  ConsumerGroupMetadata_Error,
  type FetchConsumerGroupAssignmentsResponse,
  type JoinConsumerGroupResponse,
} from '../protocol/generated/api.js';
import { backoff, pause } from './pauses.js';

const NANOSECONDS = 1_000_000n;
/** Metadata of a group comes with that of some stream; this one is small. */
const BRIEF = ['__cursors'];
/** Shortest time for one attempt at joining: its outcome is not known when it is cut short. */
const SHORTEST_JOIN = 2_000;
const RESCUE_LEAVE = 2_000;

/** A member of a consumer group: what it knows of the group, and the calls that it makes for it. */
export class Membership {
  readonly #cluster: Cluster;
  #coordinator = '';
  #epoch = 0n;
  #consumerTimeout = 15_000;
  #coordinatorTimeout = 15_000;
  #lastContact = monotonicNow();

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
   * Joins the group, again and again while the cluster elects a leader. Rejects with CONSUMER_EXISTS for an id that
   * another member has, NO_SUCH_STREAM, or the last failure when the time is up.
   */
  async join(streams: readonly string[], { signal, timeout }: Required<Waiting>): Promise<void> {
    const deadline = monotonicNow() + timeout!;
    let doubtful = false;
    for (let attempt = 1; ; attempt++) {
      try {
        this.#joined(await this.#tryJoin(streams, signal!, deadline, timeout!));
        return;
      } catch (error) {
        const exists = LiftbridgeError.is(error, 'CONSUMER_EXISTS');
        // An attempt whose answer was lost was carried out after all: leaving makes way for one that is answered.
        if (exists && doubtful) await this.leave({ signal, timeout: RESCUE_LEAVE });
        else if (!isTemporary(error) || monotonicNow() + backoff(attempt) >= deadline) {
          if (doubtful || isDoubtful(error) || signal!.aborted)
            void this.leave({ timeout: RESCUE_LEAVE }).catch(() => undefined);
          throw error;
        }
        doubtful = !exists && (doubtful || isDoubtful(error));
        this.#cluster.emit('retry', { operation: 'JoinConsumerGroup', attempt, delay: backoff(attempt), error });
        await pause(backoff(attempt), signal!);
        signal!.throwIfAborted();
      }
    }
  }

  /** Leaves the group; that it was no member any more is as good. */
  async leave(waiting: Waiting): Promise<void> {
    try {
      const { groupId, consumerId } = this;
      await this.#cluster.callAny('leaveConsumerGroup', { groupId, consumerId }, waiting);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  /** Asks the coordinator for the assignments, which keeps the member alive. */
  async poll(waiting: Waiting): Promise<FetchConsumerGroupAssignmentsResponse> {
    const { groupId, consumerId } = this;
    const request = { groupId, consumerId, epoch: this.#epoch };
    const answer = await this.#cluster.callBroker('fetchConsumerGroupAssignments', this.#coordinator, request, waiting);
    this.#lastContact = monotonicNow();
    return answer;
  }

  /**
   * Looks for the coordinator and the epoch: at the coordinator itself, which knows its epoch for sure, or at any
   * broker. Answers whether something has changed. What any broker says may be old and counts only when it is newer than
   * what is known, unless `anything` is.
   */
  async locate(from: 'coordinator' | 'anyone', anything: boolean, waiting: Waiting): Promise<boolean> {
    const request = { streams: BRIEF, groups: [this.groupId] };
    const { groupMetadata } =
      from === 'coordinator'
        ? await this.#cluster.callBroker('fetchMetadata', this.#coordinator, request, waiting)
        : await this.#cluster.callAny('fetchMetadata', request, waiting);
    const found = groupMetadata.find(({ groupId }) => groupId === this.groupId);
    if (found === undefined || found.error !== ConsumerGroupMetadata_Error.OK || found.coordinator === '') return false;
    if (found.epoch === this.#epoch && found.coordinator === this.#coordinator) return false;
    if (from === 'anyone' && !anything && found.epoch < this.#epoch) return false;
    this.#epoch = found.epoch;
    this.#coordinator = found.coordinator;
    return true;
  }

  /** Tells the cluster that the coordinator does not answer. */
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
      { signal, timeout: Math.min(left, Math.max(SHORTEST_JOIN, timeout / 3)) },
    );
  }

  #joined(answer: JoinConsumerGroupResponse): void {
    this.#coordinator = answer.coordinator;
    this.#epoch = answer.epoch;
    this.#consumerTimeout = Number(answer.consumerTimeout / NANOSECONDS);
    this.#coordinatorTimeout = Number(answer.coordinatorTimeout / NANOSECONDS);
    this.#lastContact = monotonicNow();
  }
}

/** Two members made the group at the same time: the second one can join it now. */
function isRace(error: LiftbridgeError): boolean {
  const { cause } = error as { cause?: { details?: unknown } };
  return error.code === 'CONSUMER_EXISTS' && String(cause?.details).includes('group already exists');
}

function isTemporary(error: unknown): boolean {
  return LiftbridgeError.is(error) && (error.retryable || isRace(error));
}

/** Whether the call may have been carried out although it failed. */
function isDoubtful(error: unknown): boolean {
  if (!LiftbridgeError.is(error)) return false;
  if (error.code === 'CONNECTION') return (error as ConnectionError).outcome === 'unknown';
  return error.code === 'TIMEOUT' || (error.code === 'SERVER' && error.retryable);
}

function isGone(error: unknown): boolean {
  return LiftbridgeError.is(error, 'SERVER') && /not a member|does not exist/.test((error as ServerError).text);
}
