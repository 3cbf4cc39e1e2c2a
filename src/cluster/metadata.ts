import { jsonable, jsonableBy } from '../protocol/json.js';

/** A broker of the cluster. go-liftbridge: `BrokerInfo`. */
export interface BrokerInfo {
  /** Its `clustering.server.id`. */
  readonly id: string;
  /** As the broker advertises it. */
  readonly host: string;
  /** As the broker advertises it. */
  readonly port: number;
  /** `host:port`, an IPv6 host in brackets. */
  readonly address: string;
  /** Partitions that it leads. The server counts every two minutes. */
  readonly leaderCount: number;
  /** Partitions that it holds. The server counts every two minutes. */
  readonly partitionCount: number;
}

/** When something happened for the first and for the latest time; null is never. */
export interface EventTimes {
  /** The first time. */
  readonly first: Date | null;
  /** The latest time. */
  readonly latest: Date | null;
}

/** The state of a partition. go-liftbridge: `PartitionInfo`. */
export interface PartitionInfo {
  /** From 0. */
  readonly id: number;
  /** Null when it has none, or one that is no known broker. */
  readonly leader: BrokerInfo | null;
  /** Known brokers that hold it. */
  readonly replicas: readonly BrokerInfo[];
  /** Known brokers that are in sync with the leader. */
  readonly isr: readonly BrokerInfo[];
  /** Offset of the last committed message, -1n when there is none. Only the leader knows it exactly: `fetchPartitionMetadata`. */
  readonly highWatermark: bigint;
  /** Offset of the last message, -1n when there is none. Only the leader knows it exactly. */
  readonly newestOffset: bigint;
  /** The server leaves it true once a paused partition was resumed. */
  readonly paused: boolean;
  /** Whether it refuses publishes. */
  readonly readonly: boolean;
  /** When messages arrived; only the leader knows. */
  readonly messagesReceived: EventTimes;
  /** When it was paused or resumed. */
  readonly pauses: EventTimes;
  /** When its readonly flag was set, to whatever value. */
  readonly readonlyChanges: EventTimes;
}

/** A stream and its partitions. go-liftbridge: `StreamInfo`. */
export interface StreamInfo {
  /** Unique in the cluster. */
  readonly name: string;
  /** The NATS subject of partition 0; partition n listens on `subject.n`. */
  readonly subject: string;
  /** By the clock of the server, to the millisecond. */
  readonly createdAt: Date;
  /** By id. */
  readonly partitions: ReadonlyMap<number, PartitionInfo>;
}

/** A consumer group. go-liftbridge: `ConsumerGroupInfo`. */
export interface GroupInfo {
  /** The name that its members joined. */
  readonly id: string;
  /** Null when it has none, or one that is no known broker. */
  readonly coordinator: BrokerInfo | null;
  /** Raised with every change of the membership. */
  readonly epoch: bigint;
}

/**
 * A snapshot of the cluster; never changed, only replaced. Streams and groups that the cluster does not
 * know are absent. go-liftbridge: `Metadata`.
 */
export interface Metadata {
  /** Local time of the newest answer in it. */
  readonly updatedAt: Date;
  /** By id. */
  readonly brokers: ReadonlyMap<string, BrokerInfo>;
  /** By name. */
  readonly streams: ReadonlyMap<string, StreamInfo>;
  /** By id; only those that were asked for. */
  readonly groups: ReadonlyMap<string, GroupInfo>;
}

/** A snapshot of these parts, which are its own. */
export function metadataOf({ updatedAt, brokers, streams, groups }: Metadata): Metadata {
  return Object.freeze(
    jsonable({ updatedAt, brokers: jsonable(brokers), streams: jsonable(streams), groups: jsonable(groups) }),
  );
}

/** The snapshot before the first answer. */
export const NO_METADATA: Metadata = metadataOf({
  updatedAt: new Date(0),
  brokers: new Map<string, BrokerInfo>(),
  streams: new Map<string, StreamInfo>(),
  groups: new Map<string, GroupInfo>(),
});

/** Gives a partition its `toJSON`. */
export const jsonablePartition = jsonableBy((partition: PartitionInfo) => ({
  ...partition,
  leader: partition.leader?.id ?? null,
  replicas: partition.replicas.map(({ id }) => id),
  isr: partition.isr.map(({ id }) => id),
}));

/** Gives a group its `toJSON`. */
export const jsonableGroup = jsonableBy((group: GroupInfo) => ({
  ...group,
  coordinator: group.coordinator?.id ?? null,
}));
