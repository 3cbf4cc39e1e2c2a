import type { Clock } from '../clock.js';
import type { Faults } from '../faults.js';
import type { Group } from '../groups/group-table.js';
import type { PartitionLog } from '../log/partition-log.js';
import type { Bus } from '../nats/bus.js';
import type { Settings } from '../settings.js';

/** The configuration of a stream: `undefined` follows the broker's settings, durations are milliseconds. */
export interface StreamConfig {
  readonly retentionMaxBytes?: number | undefined;
  readonly retentionMaxMessages?: number | undefined;
  readonly retentionMaxAge?: number | undefined;
  readonly cleanerInterval?: number | undefined;
  readonly segmentMaxBytes?: number | undefined;
  readonly segmentMaxAge?: number | undefined;
  readonly compactEnabled?: boolean | undefined;
  readonly compactMaxGoroutines?: number | undefined;
  readonly autoPauseTime?: number | undefined;
  readonly autoPauseDisableIfSubscribers?: boolean | undefined;
  readonly minIsr?: number | undefined;
  readonly optimisticConcurrencyControl?: boolean | undefined;
  readonly encryption?: boolean | undefined;
}

/** The placement of a partition at the creation of its stream, as broker ids. */
export interface Placement {
  readonly replicas: readonly string[];
  readonly leader: string;
}

/**
 * A change of the cluster's metadata, which the real server replicates by Raft. Its index is its position in the log.
 */
export type Operation =
  | {
      readonly kind: 'create-stream';
      readonly name: string;
      readonly subject: string;
      readonly group: string;
      /** As requested: -1 is every broker. */
      readonly replicationFactor: number;
      readonly partitionCount: number;
      readonly config: StreamConfig;
      /** Filled in by the metadata leader. */
      readonly createdAt?: bigint;
      readonly placement?: readonly Placement[];
    }
  | { readonly kind: 'delete-stream'; readonly name: string }
  | {
      readonly kind: 'pause-stream';
      readonly name: string;
      /** As requested: empty is all. */
      readonly partitions: readonly number[];
      readonly resumeAll: boolean;
      readonly at?: bigint;
    }
  | {
      readonly kind: 'resume-stream';
      readonly name: string;
      readonly partitions: readonly number[];
      readonly at?: bigint;
    }
  | {
      readonly kind: 'set-readonly';
      readonly name: string;
      readonly partitions: readonly number[];
      readonly readonly: boolean;
      readonly at?: bigint;
    }
  | { readonly kind: 'change-leader'; readonly stream: string; readonly partition: number; readonly leader: string }
  | { readonly kind: 'shrink-isr'; readonly stream: string; readonly partition: number; readonly replica: string }
  | { readonly kind: 'expand-isr'; readonly stream: string; readonly partition: number; readonly replica: string }
  | {
      readonly kind: 'join-group';
      readonly group: string;
      readonly consumer: string;
      readonly streams: readonly string[];
      /** Filled in by the metadata leader when the group is new. */
      readonly coordinator?: string;
    }
  | { readonly kind: 'leave-group'; readonly group: string; readonly consumer: string; readonly expired: boolean }
  | { readonly kind: 'change-coordinator'; readonly group: string; readonly coordinator: string }
  /**
   * Never replicated: the metadata leader counts it (`CoordinatorReports`) and, at a quorum, proposes
   * `change-coordinator` in its place. Below the quorum it returns the current index.
   */
  | {
      readonly kind: 'report-coordinator';
      readonly group: string;
      readonly consumer: string;
      readonly coordinator: string;
      readonly epoch: bigint;
    }
  /** Progress of the activity stream: every event up to that index is published. */
  | { readonly kind: 'activity-published'; readonly upTo: bigint };

/** First and latest time of an event, in nanoseconds since the epoch; 0n means never. */
export interface EventTimes {
  readonly first: bigint;
  readonly latest: bigint;
}

/** A partition in one broker's copy of the metadata. */
export interface PartitionState {
  readonly stream: string;
  readonly id: number;
  /** The NATS subject of this partition. */
  readonly subject: string;
  readonly replicas: readonly string[];
  readonly isr: ReadonlySet<string>;
  readonly leader: string;
  readonly leaderEpoch: bigint;
  /** Whether it is paused. */
  readonly paused: boolean;
  /** Whether its log is readonly. A pause and the resume that follows end that. */
  readonly readonly: boolean;
  /** The value in metadata responses: true from the first pause on, as in the server. */
  readonly reportedPaused: boolean;
  readonly reportedReadonly: boolean;
  readonly pauseTimes: EventTimes;
  readonly readonlyTimes: EventTimes;
}

/** A stream in one broker's copy of the metadata. */
export interface StreamState {
  readonly name: string;
  readonly subject: string;
  readonly group: string;
  /** As requested: -1 is every broker. */
  readonly replicationFactor: number;
  readonly config: StreamConfig;
  readonly createdAt: bigint;
  /** Index of the operation that created it: detects a stream that was deleted and recreated. */
  readonly createdBy: bigint;
  readonly resumeAll: boolean;
  readonly partitions: readonly PartitionState[];
}

/** The replica of a partition that a broker holds. */
export interface PartitionReplica {
  readonly stream: string;
  readonly id: number;
  readonly log: PartitionLog;
  /** True while this broker leads the partition and it is not paused. */
  readonly leading: boolean;
  /** Times of the messages that arrived from NATS while this broker led. */
  readonly receivedTimes: EventTimes;
  /** The reason why `log` is closed, null while it is open: it decides how subscriptions end. */
  readonly closedBy: 'pause' | 'delete' | 'shutdown' | null;
  /** Counts a live subscription, for auto-pause; the returned function removes it again. */
  addSubscriber(): () => void;
}

/** The coordinator of a consumer group, and its epoch. */
export interface GroupGeneration {
  readonly coordinator: string;
  readonly epoch: bigint;
}

/** A broker of the cluster with its load, as FetchMetadata lists it. */
export interface BrokerLoad {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly partitionCount: number;
  readonly leaderCount: number;
}

/** One broker, as the services that run on it use it. Its knowledge of the cluster may lag behind. */
export interface BrokerNode {
  readonly id: string;
  /** Its index in `TestBroker.addresses`. */
  readonly index: number;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly settings: Settings;
  readonly faults: Faults;

  stream(name: string): StreamState | undefined;
  streams(): Iterable<StreamState>;
  group(id: string): Group | undefined;
  groups(): Iterable<Group>;
  /** The replica of the partition that this broker holds, if any. */
  replica(stream: string, partition: number): PartitionReplica | undefined;

  /** Whether this broker believes that it is the metadata leader. */
  readonly isMetadataLeader: boolean;
  /** Number of brokers in the configuration of the cluster. */
  readonly clusterSize: number;

  /**
   * Proposes an operation to the metadata leader, which checks and applies it. Resolves with its index once this broker
   * has applied it too. Rejects with RpcError: the failure of a check (`cluster/checks.ts`), or the error of a cluster
   * without a leader. `deadline` is that of the call, null for none. `failurePrefix` starts the INTERNAL text of an
   * operation that was lost (`Failed to replicate partition`).
   */
  propose(operation: Operation, options: { deadline: number | null; failurePrefix: string }): Promise<bigint>;
  /**
   * Proposes that a consumer joins a group; resolves with the coordinator and epoch that the metadata leader then
   * knows.
   */
  joinGroup(
    operation: Extract<Operation, { kind: 'join-group' }>,
    options: { deadline: number | null; failurePrefix: string },
  ): Promise<GroupGeneration>;
  /** Brokers and loads for FetchMetadata, this broker first. Cached; slow while a broker does not answer. */
  listBrokers(deadline: number | null): Promise<readonly BrokerLoad[]>;
  /** Calls back after each operation that this broker has applied, in order. */
  onApplied(listener: (index: bigint, operation: Operation) => void): () => void;
  /** Whether its partitions and groups run: false until a restarted broker has recovered. */
  readonly serving: boolean;
  /** Calls back each time that the broker has recovered from a restart. */
  onServing(listener: () => void): () => void;
}
