import type { Cluster, Waiting } from '../cluster/cluster-api.js';
import { excerpt } from '../errors/quote.js';
import { LiftbridgeError, type StatusMeaning } from '../errors.js';
import type { ReceivedMessage } from '../protocol/received-message.js';
import { Status } from '../transport/status.js';
import { encodeSubscribe, type Range, type ReadPlan } from './positions.js';
import { type ProbeResult, probeRead } from './probe-read.js';
import { NotConfirmed } from './subscribe-call.js';
import { meaningOfEnd, noLeader } from './subscribe-errors.js';
import { PARTITION_METADATA_TIMEOUT_MS, PROBE_SILENCE_MS } from './timing.js';

/** The newest and the newest committed offset of a partition, -1n where there is none. */
export interface PartitionEnds {
  readonly newest: bigint;
  readonly committed: bigint;
  /** Number of replicas that are in sync, the leader among them. */
  readonly inSync: number;
}

/** What a forward read has to wait for: something, nothing more, or only for what is stored to be committed. */
export type Outlook = 'more' | 'nothing' | { readonly uncommitted: PartitionEnds };

/** Looks at a partition at its leader, beside the call that reads it. */
export class PartitionView {
  readonly #cluster: Cluster;
  readonly #stream: string;
  readonly #partition: number;
  readonly #resume: boolean;

  constructor(cluster: Cluster, stream: string, partition: number, resume: boolean) {
    this.#cluster = cluster;
    this.#stream = stream;
    this.#partition = partition;
    this.#resume = resume;
  }

  /**
   * Where the partition ends; null when the broker does not tell, because the partition is paused or has moved. Rejects
   * with a LiftbridgeError while the leader cannot be reached.
   */
  async ends(waiting: Waiting): Promise<PartitionEnds | null> {
    const request = { stream: this.#stream, partition: this.#partition };
    const timeout = Math.min(PARTITION_METADATA_TIMEOUT_MS, waiting.timeout ?? PARTITION_METADATA_TIMEOUT_MS);
    try {
      const bounds = { ...waiting, timeout };
      const answer = await this.#cluster.callBroker('fetchPartitionMetadata', this.#leader.id, request, bounds);
      const { metadata } = answer;
      if (metadata === undefined) return null;
      const { newestOffset: newest, highWatermark: committed, isr } = metadata;
      return { newest, committed, inSync: isr.length };
    } catch (error) {
      waiting.signal?.throwIfAborted();
      if (tellsNothing(error)) return null;
      throw error;
    }
  }

  /** The first message from there on; null when none comes. Rejects while the leader cannot be reached, or refuses the read. */
  async first(start: Range['start'], waiting: Waiting): Promise<ReceivedMessage | null> {
    const stop = start.at === 'offset' ? start : ({ at: 'never' } as const);
    const { messages, end, isConfirmed } = await this.#probeRead({ start, stop }, false, 1, waiting);
    const [message] = messages;
    if (message !== undefined || end === null) return message ?? null;
    if (NOTHING.has(meaningOfEnd(isConfirmed ? 'Subscription' : 'Subscribe', end))) return null;
    if (!isConfirmed) throw new NotConfirmed(end);
    throw noLeader(this.#stream, this.#partition, `a probe read of it broke: ${excerpt(end.message)}`);
  }

  /**
   * What a forward read that is at `next` has to wait for up to `last`, asked when it has been silent for a while; null when
   * the broker does not tell. A broker waits for ever for a stop offset that was removed.
   */
  async outlook(next: bigint, last: bigint, signal: AbortSignal): Promise<Outlook | null> {
    const ends = await this.ends({ signal });
    if (ends === null) return 'more';
    if (ends.committed < last) return ends.committed < next ? { uncommitted: ends } : 'more';
    const { messages, end } = await this.#probeRead({ start: { at: 'offset', offset: last }, stop: NEVER }, true, 1, {
      signal,
    });
    const [message] = messages;
    if (message !== undefined) return message.offset >= next ? 'more' : 'nothing';
    return end !== null && isEnd(end) ? 'nothing' : null;
  }

  /** Whether the server reads in reverse, asked when it has been silent for a while; null when it does not tell. */
  async knowsReverse(next: bigint, signal: AbortSignal): Promise<boolean | null> {
    const { messages, end } = await this.#probeRead({ start: { at: 'offset', offset: next }, stop: NEVER }, true, 2, {
      signal,
    });
    const [first, second] = messages;
    if (first !== undefined && second !== undefined) return second.offset < first.offset;
    // Only a reverse read ends by itself.
    return end === null ? null : true;
  }

  get #leader() {
    const leader = this.#cluster.leader(this.#stream, this.#partition);
    if (leader === null) throw noLeader(this.#stream, this.#partition, 'no leader is known');
    return leader;
  }

  #probeRead(range: Range, reverse: boolean, count: number, waiting: Waiting): Promise<ProbeResult> {
    const plan: ReadPlan = { ...range, reverse, readIsrReplica: false, resume: this.#resume, consumer: undefined };
    const request = encodeSubscribe(this.#stream, this.#partition, plan, range);
    return probeRead(this.#cluster, this.#leader, request, { ...waiting, count, silence: PROBE_SILENCE_MS });
  }
}

/** How a call ends that has nothing to read. Any other end says nothing about the messages of the partition. */
const NOTHING: ReadonlySet<StatusMeaning> = new Set<StatusMeaning>([
  'empty',
  'empty-range',
  'end-of-readonly',
  'no-time-index',
  'stop-reached',
]);

const NEVER = { at: 'never' } as const;

/** A refusal that a Subscribe call will meet, too, and make clearer. A leader that is not reached is no refusal. */
function tellsNothing(error: unknown): boolean {
  if (!LiftbridgeError.is(error)) return false;
  return !error.retryable || ('reason' in error && error.reason === 'no-leader');
}

/** Whether a call came to the end of what there is, rather than broke. */
function isEnd(end: NonNullable<ProbeResult['end']>): boolean {
  return !end.transport && (end.code === Status.UNKNOWN || end.code === Status.RESOURCE_EXHAUSTED);
}
