import type { Clock } from '../clock.js';
import type { Faults } from '../faults.js';
import type { Group } from '../groups/group-table.js';
import type { PartitionLog } from '../log/partition-log.js';
import type { Bus } from '../nats/bus.js';
import type { Settings } from '../settings.js';

/** What a stream was created with: `undefined` follows the broker's settings, durations are milliseconds. */
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

/** Where a partition was placed when its stream was created; broker ids. */
export interface Placement {
  readonly replicas: readonly string[];
  readonly leader: string;
}

/** A change of the cluster's metadata, which the real server replicates by Raft. Each has an index, its place in the log. */
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
   * `change-coordinator` in its place. Below the quorum it answers with the index as it is.
   */
  | {
      readonly kind: 'report-coordinator';
      readonly group: string;
      readonly consumer: string;
      readonly coordinator: string;
      readonly epoch: bigint;
    }
  /** Bookkeeping of the activity stream: every event up to that index was published. */
  | { readonly kind: 'activity-published'; readonly upTo: bigint };

/** First and latest time of an event, in ns since the epoch; 0n is never. */
export interface EventTimes {
  readonly first: bigint;
  readonly latest: bigint;
}

/** A partition as one broker's copy of the metadata has it. */
export interface PartitionState {
  readonly stream: string;
  readonly id: number;
  /** The NATS subject of this partition. */
  readonly subject: string;
  readonly replicas: readonly string[];
  readonly isr: ReadonlySet<string>;
  readonly leader: string;
  readonly leaderEpoch: bigint;
  /** Whether it is paused now. */
  readonly paused: boolean;
  /** Whether its log is readonly now: lost by a pause and the resume that follows. */
  readonly readonly: boolean;
  /** What metadata says of it: true for ever after the first pause. */
  readonly reportedPaused: boolean;
  readonly reportedReadonly: boolean;
  readonly pauseTimes: EventTimes;
  readonly readonlyTimes: EventTimes;
}

/** A stream as one broker's copy of the metadata has it. */
export interface StreamState {
  readonly name: string;
  readonly subject: string;
  readonly group: string;
  /** As requested: -1 is every broker. */
  readonly replicationFactor: number;
  readonly config: StreamConfig;
  readonly createdAt: bigint;
  /** Index of the operation that created it: tells it from an earlier stream of the same name. */
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
  /** When messages came from NATS, as far as this broker led. */
  readonly receivedTimes: EventTimes;
  /** Why `log` is closed, when it is: decides how subscriptions end. */
  readonly closedBy: 'pause' | 'delete' | 'shutdown' | null;
  /** Counts a live subscription (auto-pause looks at it); the answer takes it off again. */
  addSubscriber(): () => void;
}

/** Who coordinates a consumer group, and in which epoch. */
export interface GroupGeneration {
  readonly coordinator: string;
  readonly epoch: bigint;
}

/** A broker of the cluster with its load, as FetchMetadata tells of it. */
export interface BrokerLoad {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly partitionCount: number;
  readonly leaderCount: number;
}

/** One broker, as the services that run on it see it. Everything it knows of the cluster may lag behind. */
export interface BrokerNode {
  readonly id: string;
  /** Its place in `TestBroker.addresses`. */
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

  /** Whether this broker is the metadata leader, by its own belief. */
  readonly isMetadataLeader: boolean;
  /** How many brokers the cluster was configured with. */
  readonly clusterSize: number;

  /**
   * Has the metadata leader check and apply an operation; resolves with its index once this broker has applied it
   * too. Rejects with RpcError: what the check says (`cluster/checks.ts`), or the texts of a cluster without a leader.
   * `deadline` is that of the call, null without one. `failurePrefix` starts the INTERNAL text when the operation
   * was lost on the way (`Failed to replicate partition`).
   */
  propose(operation: Operation, options: { deadline: number | null; failurePrefix: string }): Promise<bigint>;
  /** Proposes that a consumer joins a group; answers what the metadata leader says of the group then. */
  joinGroup(
    operation: Extract<Operation, { kind: 'join-group' }>,
    options: { deadline: number | null; failurePrefix: string },
  ): Promise<GroupGeneration>;
  /** Brokers and loads for FetchMetadata: cached, and slow while a broker does not answer. This broker comes first. */
  listBrokers(deadline: number | null): Promise<readonly BrokerLoad[]>;
  /** Calls back after each operation that this broker has applied, in order. */
  onApplied(listener: (index: bigint, operation: Operation) => void): () => void;
  /** Whether its partitions and groups run: false until a restarted broker has recovered. */
  readonly serving: boolean;
  /** Calls back each time that the broker has recovered from a restart. */
  onServing(listener: () => void): () => void;
}
