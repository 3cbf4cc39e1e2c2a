import {
  Broker,
  ConsumerGroupMetadata,
  ConsumerGroupMetadata_Error,
  type PartitionEventTimestamps,
  PartitionMetadata,
  StreamMetadata_Error,
} from '../protocol/generated/api.js';
import { jsonable } from '../protocol/json.js';
import { WireReader } from '../protocol/wire-reader.js';
import { formatAddress } from './addresses.js';
import {
  type BrokerInfo,
  type EventTimes,
  type GroupInfo,
  jsonableGroup,
  jsonablePartition,
  type PartitionInfo,
  type StreamInfo,
} from './metadata.js';
import type { MetadataAnswer, Testimony } from './metadata-answer.js';

/** Looks a broker up by its id. */
export type FindBroker = (id: string) => BrokerInfo | undefined;

/** The same, for a broker that leads or coordinates something, or only holds it. */
type LookUp = (id: string, leads: boolean) => BrokerInfo | undefined;

/** The limits of one answer, far beyond any cluster. Parts of a few bytes would become objects of hundreds. */
export interface AnswerLimits {
  readonly brokers: number;
  /** Streams, their partitions and groups together. */
  readonly parts: number;
}

const LIMITS: AnswerLimits = { brokers: 10_000, parts: 1_000_000 };

/**
 * Bytes of one partition at most. Its lists of replicas cost eight bytes for an id of no character, which is two bytes in the
 * answer, and the decoder makes them at once; real ones have a few hundred bytes.
 */
export const LARGEST_PARTITION = 1024 * 1024;

const BROKER = 0x0a;
const STREAM = 0x12;
const GROUP = 0x1a;

/**
 * Reads a FetchMetadataResponse out of its bytes, step by step: one `next()` reads one stream, partition or group at
 * most, so that its caller can give the event loop a turn between two steps. The generated decoder would read thousands of partitions
 * at once. The list of brokers may lack one that leads partitions: `remembered` finds those of earlier lists.
 */
export function* readMetadata(
  bytes: Buffer,
  from: Testimony | null = null,
  remembered: FindBroker = () => undefined,
  limits: AnswerLimits = LIMITS,
): Generator<undefined, MetadataAnswer> {
  let parts = 0;
  const count = (): void => {
    if (++parts > limits.parts)
      throw new RangeError(`it names more than ${limits.parts} streams, partitions and groups`);
  };
  const brokers = new Map<string, BrokerInfo>();
  const strangers = new Map<string, boolean>();
  const lookUp: LookUp = (id, leads) => {
    const broker = brokers.get(id) ?? remembered(id);
    if (broker === undefined && id !== '' && (strangers.has(id) || strangers.size < limits.brokers))
      strangers.set(id, leads || strangers.get(id) === true);
    return broker;
  };
  const streams = new Map<string, StreamInfo>();
  const groups = new Map<string, GroupInfo>();
  // Streams name brokers by id, and protobuf does not promise that brokers come first.
  for (const part of fields(bytes, BROKER)) {
    const broker = toBrokerInfo(Broker.decode(part));
    brokers.set(broker.id, broker);
    if (brokers.size > limits.brokers) throw new RangeError(`it names more than ${limits.brokers} brokers`);
  }
  for (const part of fields(bytes, STREAM)) {
    count();
    const stream = yield* readStream(part, lookUp, count);
    if (stream !== null) streams.set(stream.name, stream);
  }
  for (const part of fields(bytes, GROUP)) {
    count();
    const group = ConsumerGroupMetadata.decode(part);
    if (group.error === ConsumerGroupMetadata_Error.OK) groups.set(group.groupId, toGroupInfo(group, lookUp));
  }
  const answeredBy = brokers.keys().next().value ?? null;
  return Object.freeze({ updatedAt: new Date(), brokers, streams, groups, answeredBy, strangers, from });
}

/** The bytes of every field with that tag, which must be length-delimited. */
function* fields(bytes: Buffer, wanted: number): Generator<Buffer> {
  const reader = new WireReader();
  reader.open(bytes, 0, bytes.length);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === wanted) yield reader.bytes();
    else reader.skip(tag);
  }
}

/** Null when the cluster does not know the stream. */
function* readStream(bytes: Buffer, lookUp: LookUp, count: () => void): Generator<undefined, StreamInfo | null> {
  const reader = new WireReader();
  reader.open(bytes, 0, bytes.length);
  const partitions: PartitionInfo[] = [];
  let name = '';
  let subject = '';
  let error: number = StreamMetadata_Error.OK;
  let created = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) name = reader.string();
    else if (tag === 0x12) subject = reader.string();
    else if (tag === 0x18) error = reader.int32();
    else if (tag === 0x28) created = reader.int64();
    else if (tag === 0x22) {
      const value = entryValue(reader.bytes());
      count();
      if (value !== undefined && value.length > LARGEST_PARTITION) throw tooLarge(value.length);
      if (value !== undefined) partitions.push(toPartitionInfo(PartitionMetadata.decode(value), lookUp));
      yield;
    } else reader.skip(tag);
  }
  yield;
  if (error !== StreamMetadata_Error.OK) return null;
  // The server sends a map, in no order.
  partitions.sort((a, b) => a.id - b.id);
  return Object.freeze(
    jsonable({
      name,
      subject,
      createdAt: dateOf(created),
      partitions: jsonable(new Map(partitions.map((partition) => [partition.id, partition]))),
    }),
  );
}

function tooLarge(size: number): RangeError {
  return new RangeError(`it has a partition of ${size} bytes, more than ${LARGEST_PARTITION}`);
}

/** The value of a map entry. */
function entryValue(entry: Buffer): Buffer | undefined {
  let value: Buffer | undefined;
  for (const part of fields(entry, 0x12)) value = part;
  return value;
}

function toBrokerInfo({ id, host, port, leaderCount, partitionCount }: Broker): BrokerInfo {
  const address = formatAddress({ host, port });
  return Object.freeze(jsonable({ id, host, port, address, leaderCount, partitionCount }));
}

/** A partition with its broker ids looked up; ids of unknown brokers are left out. */
export function toPartitionInfo(wire: PartitionMetadata, lookUp: LookUp): PartitionInfo {
  return Object.freeze(
    jsonablePartition({
      id: wire.id,
      leader: lookUp(wire.leader, true) ?? null,
      replicas: known(wire.replicas, lookUp),
      isr: known(wire.isr, lookUp),
      highWatermark: wire.highWatermark,
      newestOffset: wire.newestOffset,
      paused: wire.paused,
      readonly: wire.readonly,
      messagesReceived: toEventTimes(wire.messagesReceivedTimestamps),
      pauses: toEventTimes(wire.pauseTimestamps),
      readonlyChanges: toEventTimes(wire.readonlyTimestamps),
    }),
  );
}

function known(ids: readonly string[], lookUp: LookUp): readonly BrokerInfo[] {
  const found: BrokerInfo[] = [];
  for (const id of ids) {
    const broker = lookUp(id, false);
    if (broker !== undefined) found.push(broker);
  }
  return Object.freeze(found);
}

function toGroupInfo(group: ConsumerGroupMetadata, lookUp: LookUp): GroupInfo {
  return Object.freeze(
    jsonableGroup({
      id: group.groupId,
      coordinator: lookUp(group.coordinator, true) ?? null,
      epoch: group.epoch,
    }),
  );
}

function toEventTimes(times: PartitionEventTimestamps | undefined): EventTimes {
  const { firstTimestamp: first, latestTimestamp: latest } = times ?? { firstTimestamp: 0n, latestTimestamp: 0n };
  return Object.freeze({
    first: first === 0n ? null : dateOf(first),
    latest: latest === 0n ? null : dateOf(latest),
  });
}

/** Nanoseconds since the epoch as a Date. */
function dateOf(nanoseconds: bigint): Date {
  return new Date(Number(nanoseconds / 1_000_000n));
}
