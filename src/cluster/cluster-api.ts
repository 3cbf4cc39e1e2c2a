import type { Deadline, Waiting } from '../async/deadline.js';
import type { ErrorContext, Operation } from '../errors.js';
import type { Logger, ResolvedClientOptions } from '../options.js';
import type { PartitionMetadata } from '../protocol/generated/api.js';
import type { DataSession } from '../transport/duplex.js';
import type { ClusterEvents } from './events.js';
import type { Existence } from './existence.js';
import type { BrokerInfo, Metadata, PartitionInfo } from './metadata.js';
import type { MetadataAnswer, Sought } from './metadata-answer.js';
import type { UnaryMethod, UnaryRequest, UnaryResponse } from './unary-calls.js';

export type { BoundedWaiting, Waiting } from '../async/deadline.js';
export { type ClusterEvents, EVENT_NAMES } from './events.js';
export type { Existence } from './existence.js';
export { unknownYet } from './leader-lookup.js';
export {
  type BrokerInfo,
  type EventTimes,
  type GroupInfo,
  type Metadata,
  metadataOf,
  type PartitionInfo,
  type StreamInfo,
} from './metadata.js';
export type { Sought } from './metadata-answer.js';
export { BRIEF_REQUEST } from './unary-calls.js';
export { findStream, hasEnded, untilCertain } from './until-certain.js';

/** A broker, as higher layers address it. */
export interface BrokerTarget {
  /** Broker id, or the address where no id is known yet. */
  readonly id: string;
  /** `host:port`, translated by `resolveBroker`. */
  readonly address: string;
}

/** Limits of a unary call, and what the caller wants to know of its attempts. */
export interface CallBounds extends Waiting {
  /** `ambiguous` is set when an attempt failed that the broker may have carried out all the same. */
  readonly trace?: { ambiguous: boolean } | undefined;
  /** The stream that the call is about. Whether it exists decides what follows when a broker does not know it. */
  readonly about?: string | undefined;
  /**
   * Called before each attempt at the leader. Returns the number of the connection that may carry the attempt, or null when
   * the leader has to be looked up again.
   */
  readonly admit?: ((broker: BrokerTarget, deadline: Deadline) => Promise<number | null>) | undefined;
}

/** The cluster, as publishing, subscribing and consuming use it. Every look-up reads the cached metadata. */
export interface Cluster {
  readonly logger: Logger;
  /** Number of partitions of the stream; 0 when the cache does not know the stream. */
  partitionCount(stream: string): number;
  /** When the stream was created, in milliseconds since the epoch: tells it from a later one of the same name. Null when the cache does not know it. */
  createdAt(stream: string): number | null;
  /** Leader of the partition; null when none is known. */
  leader(stream: string, partition: number): BrokerTarget | null;
  /** Whether the partition was paused, as the cache has it; that stays true once it was resumed. */
  isPaused(stream: string, partition: number): boolean;
  /** In-sync replicas of the partition, the leader among them; empty when none are known. */
  isr(stream: string, partition: number): readonly BrokerTarget[];
  /**
   * Number of the connection that the next unary call to the broker goes over; null while that has to connect. A broker that
   * restarts has another one.
   */
  callConnection(broker: BrokerTarget): number | null;
  /** Names of the streams on exactly that subject, as the cache knows them. */
  streamsOnSubject(subject: string): readonly string[];
  /** Counts the changes of the cached view: routes found under an older version must be looked up again. */
  readonly version: number;
  /**
   * Decides whether a stream or consumer group exists that a broker called unknown: the one decision for every layer. A
   * broker that restarts knows no stream for up to 9 s, so an "unknown" counts only where it is certain; see `Existence`.
   * Asks several brokers and brings the cache up to date; takes 0.2 to 1.5 s unless a broker knows it. What is 'gone' is out
   * of the cache. 'unsure' when the time is up; rejects only with the reason of the signal, or that of the closed client.
   * `untilCertain` asks again, with growing pauses.
   */
  existence(sought: Sought, waiting?: Waiting): Promise<Existence>;
  /** Whether a broker has named it to this client, and it was not found to be gone since. */
  hasSeen(sought: Sought): boolean;
  /**
   * Fetches metadata of the streams (all when absent) and merges it into the cache; calls under way are shared. A stream
   * that the cache knows stays in it, with its partitions and leaders, while it is not certain that it is gone.
   * Rejects with a LiftbridgeError.
   */
  refresh(streams: readonly string[] | undefined, waiting?: Waiting): Promise<void>;
  /** A broker to serve what any broker may serve, chosen by `serverSelection`; not one of `except` where another is left. */
  anyBroker(except?: ReadonlySet<string>): BrokerTarget;
  /**
   * The open data session to a broker, connecting where needed; shared by all callers, replaced after it broke.
   * Rejects with a ConnectionError, which tells what it was needed for when `about` says so. A broker that failed a moment
   * ago is tried again after its backoff; one that refused this client for good rejects at once until then.
   */
  session(broker: BrokerTarget, waiting?: Waiting, about?: ErrorContext): Promise<DataSession>;
  /** A unary call that any broker may serve, with retries where they are safe; both in the types of the wire. */
  callAny<Method extends UnaryMethod>(
    method: Method,
    request: UnaryRequest<Method>,
    bounds?: CallBounds,
  ): Promise<UnaryResponse<Method>>;
  /** A unary call that only the leader of the partition serves, with metadata refreshed on the way. */
  callLeader<Method extends UnaryMethod>(
    method: Method,
    stream: string,
    partition: number,
    request: UnaryRequest<Method>,
    bounds?: CallBounds,
  ): Promise<UnaryResponse<Method>>;
  /** A unary call to one broker, without retries. */
  callBroker<Method extends UnaryMethod>(
    method: Method,
    brokerId: string,
    request: UnaryRequest<Method>,
    waiting?: Waiting,
  ): Promise<UnaryResponse<Method>>;
  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void;
  on<Name extends keyof ClusterEvents>(name: Name, listener: (...event: ClusterEvents[Name]) => void): () => void;
}

/** The cluster, as the calls of admin/ use it. */
export interface AdminCluster extends Cluster {
  readonly options: ResolvedClientOptions;
  /** The cached metadata. */
  readonly metadata: Metadata;
  /** Fetches metadata, merges it into the cache and returns this one answer; no streams means all of them. */
  fetch(streams: readonly string[], groups: readonly string[], waiting?: Waiting): Promise<MetadataAnswer>;
  /** The leader of a partition in the cached metadata. Throws a LiftbridgeError when the stream, the partition or a leader is not known. */
  requireLeader(operation: Operation, stream: string, partition: number): BrokerInfo;
  /** Converts the state of a partition from the wire; its brokers are those that this client knows. */
  readPartition(partition: PartitionMetadata): PartitionInfo;
  /** Records that a stream was created a moment ago: some brokers may not know it yet. */
  noteCreated(stream: string): void;
  /** Removes a deleted stream from the cache. */
  forget(stream: string): void;
  /** Runs any work within the caller's bounds, `requestTimeout` by default; `late` makes the error of a work whose time is up. */
  bounded<Result>(
    waiting: Waiting,
    late: (timeout: number) => Error,
    work: (deadline: Deadline) => Promise<Result>,
  ): Promise<Result>;
}
