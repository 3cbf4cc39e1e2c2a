import type { DataSession } from '../transport/duplex.js';

/** A broker as the rooms above route to it. */
export interface BrokerTarget {
  /** Broker id, or the address where no id is known yet. */
  readonly id: string;
  /** `host:port`, translated by `resolveBroker`. */
  readonly address: string;
}

/** Bounds of a call that waits. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
}

/** What changed in the view of the cluster. */
export interface ClusterEvents {
  readonly metadata: readonly [];
  readonly leaderChange: readonly [
    { readonly stream: string; readonly partition: number; readonly from: string | null; readonly to: string | null },
  ];
  readonly retry: readonly [
    { readonly operation: string; readonly attempt: number; readonly delay: number; readonly error: unknown },
  ];
  readonly resubscribe: readonly [
    { readonly stream: string; readonly partition: number; readonly position: bigint; readonly error: unknown },
  ];
  readonly asyncError: readonly [error: unknown];
}

/** What publish, subscribe and consumer need of the cluster; every look-up is of the cached metadata. */
export interface Cluster {
  readonly logger: {
    debug(context: object, message: string): void;
    info(context: object, message: string): void;
    warn(context: object, message: string): void;
    error(context: object, message: string): void;
  };
  /** Number of partitions of the stream; 0 when the cache does not know the stream. */
  partitionCount(stream: string): number;
  /** Leader of the partition; null when none is known. */
  leader(stream: string, partition: number): BrokerTarget | null;
  /** In-sync replicas of the partition, the leader among them; empty when none are known. */
  isr(stream: string, partition: number): readonly BrokerTarget[];
  /** Names of the streams on exactly that subject, as the cache knows them. */
  streamsOnSubject(subject: string): readonly string[];
  /** Counts the changes of the cached view: routes found under an older version must be looked up again. */
  readonly version: number;
  /**
   * Fetches metadata of the streams (all when absent) and merges it into the cache; calls under way are shared.
   * Rejects with a LiftbridgeError.
   */
  refresh(streams: readonly string[] | undefined, waiting?: Waiting): Promise<void>;
  /** A broker to serve what any broker may serve, chosen by `serverSelection`; not one of `except` where another is left. */
  anyBroker(except?: ReadonlySet<string>): BrokerTarget;
  /**
   * The open data session to a broker, connecting where needed; shared by all callers, replaced after it broke.
   * Rejects with a ConnectionError; a broker that failed a moment ago is tried again after its backoff.
   */
  session(broker: BrokerTarget, waiting?: Waiting): Promise<DataSession>;
  /** A unary call that any broker may serve, with retries where they are safe; both in the types of the wire. */
  callAny<Request, Response>(method: string, request: Request, waiting?: Waiting): Promise<Response>;
  /** A unary call that only the leader of the partition serves, with metadata refreshed on the way. */
  callLeader<Request, Response>(
    method: string,
    stream: string,
    partition: number,
    request: Request,
    waiting?: Waiting,
  ): Promise<Response>;
  /** A unary call to one broker, without retries. */
  callBroker<Request, Response>(
    method: string,
    brokerId: string,
    request: Request,
    waiting?: Waiting,
  ): Promise<Response>;
  emit<Name extends keyof ClusterEvents>(name: Name, ...event: ClusterEvents[Name]): void;
  on<Name extends keyof ClusterEvents>(name: Name, listener: (...event: ClusterEvents[Name]) => void): () => void;
}
