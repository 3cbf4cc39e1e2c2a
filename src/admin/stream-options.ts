import {
  ACTIVITY_STREAM,
  arrayOf,
  CALL_SHAPE,
  type CallOptions,
  CURSORS_STREAM,
  checkValue,
  either,
  flag,
  int64,
  integer,
  loadBalanceGroup,
  newStreamName,
  oneOf,
  partitionId,
  type Rule,
  readOptions,
  type Shape,
  streamName,
  streamSubject,
  text,
} from '../options.js';
import type { CreateStreamRequest, NullableBool, NullableInt32, NullableInt64 } from '../protocol/generated/api.js';

/**
 * Settings of a new stream. What is left out follows the configuration of the server, which is not the same as 0: for
 * limits 0 means none. Durations are whole milliseconds. go-liftbridge: `StreamOption`.
 */
export interface StreamOptions {
  /** Load-balance group: of the streams of one group on one subject, one stores each message. Default: none. go-liftbridge: `Group`. */
  readonly group?: string | undefined;
  /** Default 1. go-liftbridge: `Partitions`. */
  readonly partitions?: number | undefined;
  /** Brokers that hold each partition; 'max' is all of them. Default 1. go-liftbridge: `ReplicationFactor`, `MaxReplication`. */
  readonly replicationFactor?: number | 'max' | undefined;
  /** Bytes kept; 0 is no limit. go-liftbridge: `RetentionMaxBytes`. */
  readonly retentionMaxBytes?: bigint | number | undefined;
  /** Messages kept; 0 is no limit. go-liftbridge: `RetentionMaxMessages`. */
  readonly retentionMaxMessages?: bigint | number | undefined;
  /** Milliseconds that a message is kept; 0 is no limit. go-liftbridge: `RetentionMaxAge`. */
  readonly retentionMaxAge?: number | undefined;
  /** Milliseconds between two looks at the limits. go-liftbridge: `CleanerInterval`. */
  readonly cleanerInterval?: number | undefined;
  /** Bytes of one segment of the log. go-liftbridge: `SegmentMaxBytes`. */
  readonly segmentMaxBytes?: bigint | number | undefined;
  /** Milliseconds until a new segment is begun; 0 is no limit. go-liftbridge: `SegmentMaxAge`. */
  readonly segmentMaxAge?: number | undefined;
  /** Keeps the latest message of each key only. go-liftbridge: `CompactEnabled`. */
  readonly compactEnabled?: boolean | undefined;
  /** go-liftbridge: `CompactMaxGoroutines`. */
  readonly compactMaxGoroutines?: number | undefined;
  /** Milliseconds without a message until a partition pauses itself; 0 is never. go-liftbridge: `AutoPauseTime`. */
  readonly autoPauseTime?: number | undefined;
  /** A partition with subscribers does not pause itself. go-liftbridge: `AutoPauseDisableIfSubscribers`. */
  readonly autoPauseDisableIfSubscribers?: boolean | undefined;
  /** In-sync replicas that a message needs to be committed. go-liftbridge: `MinISR`. */
  readonly minIsr?: number | undefined;
  /** The leader checks `expectedOffset` of each publish. go-liftbridge: `OptimisticConcurrencyControl`. */
  readonly optimisticConcurrencyControl?: boolean | undefined;
  /** Values are encrypted where they are stored. go-liftbridge: `Encryption`. */
  readonly encryption?: boolean | undefined;
}

/** Options of `createStream`. */
export interface CreateStreamOptions extends StreamOptions, CallOptions {
  /** Wait until every partition has a leader that answers. Default true. */
  readonly waitForLeaders?: boolean | undefined;
  /**
   * A stream of that name with the same subject and number of partitions is success; its other settings cannot be compared,
   * since servers do not tell them. Default false.
   */
  readonly ifNotExists?: boolean | undefined;
}

/** Options of `pauseStream`. */
export interface PauseStreamOptions extends CallOptions {
  /** Default: all of them. go-liftbridge: `PausePartitions`. */
  readonly partitions?: readonly number[] | undefined;
  /** The first publish to one partition resumes all of them. Default false. go-liftbridge: `ResumeAll`. */
  readonly resumeAll?: boolean | undefined;
}

/** Options of `setStreamReadonly`. */
export interface SetStreamReadonlyOptions extends CallOptions {
  /** Default: all of them. go-liftbridge: `ReadonlyPartitions`. */
  readonly partitions?: readonly number[] | undefined;
  /** False makes them writable again. Default true. go-liftbridge: `Readonly`. */
  readonly readonly?: boolean | undefined;
}

const MAX_INT32 = 2 ** 31 - 1;
const count = integer(0, MAX_INT32);
const wholeMilliseconds: Rule = { ...integer(0), expected: 'a whole number of milliseconds of at least 0' };

const CREATE_SHAPE = {
  ...CALL_SHAPE,
  waitForLeaders: flag,
  ifNotExists: flag,
  group: text,
  partitions: integer(1, MAX_INT32),
  replicationFactor: either(integer(1, MAX_INT32), oneOf('max')),
  retentionMaxBytes: int64(0n),
  retentionMaxMessages: int64(0n),
  retentionMaxAge: wholeMilliseconds,
  cleanerInterval: wholeMilliseconds,
  segmentMaxBytes: int64(0n),
  segmentMaxAge: wholeMilliseconds,
  compactEnabled: flag,
  compactMaxGoroutines: count,
  autoPauseTime: wholeMilliseconds,
  autoPauseDisableIfSubscribers: flag,
  minIsr: count,
  optimisticConcurrencyControl: flag,
  encryption: flag,
} satisfies Shape<CreateStreamOptions>;

/** On the wire no partitions stand for all of them: an empty list, the outcome of some filter, must not. */
const somePartitions: Rule = {
  ...arrayOf(partitionId),
  expected: 'a non-empty array of partition ids',
  accepts: (value) => Array.isArray(value) && value.length > 0,
};

const PAUSE_SHAPE = { ...CALL_SHAPE, partitions: somePartitions, resumeAll: flag } satisfies Shape<PauseStreamOptions>;
const READONLY_SHAPE = {
  ...CALL_SHAPE,
  partitions: somePartitions,
  readonly: flag,
} satisfies Shape<SetStreamReadonlyOptions>;

const RESERVED = [CURSORS_STREAM, ACTIVITY_STREAM];
const notReserved: Rule = {
  expected: `a non-empty string other than ${RESERVED.join(' and ')}, which the server keeps for itself`,
  accepts: (value) => !RESERVED.includes(value as string),
};

/** Reads the options once. Throws InvalidArgumentError for a stream that cannot be created, or whose name, subject or group ends a server. */
export function readCreateStream(subject: unknown, stream: unknown, given: unknown): CreateStreamOptions {
  const options = readOptions<CreateStreamOptions>('createStream', given, CREATE_SHAPE);
  checkValue('createStream', 'subject', subject, streamSubject(options.partitions ?? 1));
  checkValue('createStream', 'name', stream, newStreamName);
  checkValue('createStream', 'name', stream, notReserved);
  if (options.group !== undefined)
    checkValue('createStream', 'group', options.group, loadBalanceGroup(subject as string));
  return options;
}

/** Reads the options once. Throws InvalidArgumentError for a stream that cannot be deleted. */
export function readDeleteStream(stream: unknown, options: unknown): CallOptions {
  checkValue('deleteStream', 'name', stream, streamName);
  checkValue('deleteStream', 'name', stream, notReserved);
  return readOptions<CallOptions>('deleteStream', options, CALL_SHAPE);
}

/** Reads the options once. Throws InvalidArgumentError. */
export function readPauseStream(stream: unknown, options: unknown): PauseStreamOptions {
  checkValue('pauseStream', 'name', stream, streamName);
  return readOptions<PauseStreamOptions>('pauseStream', options, PAUSE_SHAPE);
}

/** Reads the options once. Throws InvalidArgumentError. */
export function readSetStreamReadonly(stream: unknown, options: unknown): SetStreamReadonlyOptions {
  checkValue('setStreamReadonly', 'name', stream, streamName);
  return readOptions<SetStreamReadonlyOptions>('setStreamReadonly', options, READONLY_SHAPE);
}

/** The request that creates a stream; settings that are not given stay unset. */
export function createStreamRequest(subject: string, name: string, options: StreamOptions): CreateStreamRequest {
  return {
    subject,
    name,
    group: options.group ?? '',
    replicationFactor: options.replicationFactor === 'max' ? -1 : (options.replicationFactor ?? 0),
    partitions: options.partitions ?? 0,
    retentionMaxBytes: long(options.retentionMaxBytes),
    retentionMaxMessages: long(options.retentionMaxMessages),
    retentionMaxAge: long(options.retentionMaxAge),
    cleanerInterval: long(options.cleanerInterval),
    segmentMaxBytes: long(options.segmentMaxBytes),
    segmentMaxAge: long(options.segmentMaxAge),
    compactMaxGoroutines: number(options.compactMaxGoroutines),
    compactEnabled: bool(options.compactEnabled),
    autoPauseTime: long(options.autoPauseTime),
    autoPauseDisableIfSubscribers: bool(options.autoPauseDisableIfSubscribers),
    minIsr: number(options.minIsr),
    optimisticConcurrencyControl: bool(options.optimisticConcurrencyControl),
    encryption: bool(options.encryption),
  };
}

function long(value: bigint | number | undefined): NullableInt64 | undefined {
  return value === undefined ? undefined : { value: BigInt(value) };
}

function number(value: number | undefined): NullableInt32 | undefined {
  return value === undefined ? undefined : { value };
}

function bool(value: boolean | undefined): NullableBool | undefined {
  return value === undefined ? undefined : { value };
}
