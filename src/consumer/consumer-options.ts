import { randomUUID } from 'node:crypto';
import { messageOf } from '../errors/quote.js';
import { HandlerError } from '../errors.js';
import {
  arrayOf,
  CALL_SHAPE,
  type CallOptions,
  callback,
  checkValue,
  identifier,
  milliseconds,
  oneOf,
  type Rule,
  readOptions,
  readValue,
  type Shape,
  streamName,
  withoutUndefined,
} from '../options.js';

/** Where a group begins in a partition that it has no position in. */
export type AutoOffset = 'new' | 'earliest' | 'latest' | 'none';

/** Told of partitions that a consumer was given, or has to give up. */
export type PartitionsCallback = (stream: string, partitions: readonly number[]) => void | Promise<void>;

/** Options of `createConsumer`. go-liftbridge: `ConsumerOption`. */
export interface ConsumerOptions {
  /** Unique among the members of the group. Default: a random one. go-liftbridge: `ConsumerID`. */
  readonly consumerId?: string | undefined;
  /**
   * Milliseconds between checkpoints; false or 0 for none on a timer. Partitions are checkpointed all the same when
   * they are given up and when the consumer is closed. Default 5_000. go-liftbridge: `AutoCheckpoint`.
   */
  readonly autoCheckpoint?: number | false | undefined;
  /**
   * Where to begin in a partition that the group has no position in: behind the newest message, at the oldest one, at
   * the newest one, or not at all, with NO_OFFSET. Default 'new'. go-liftbridge: `StartAtLatestReceived`, ...
   */
  readonly autoOffset?: AutoOffset | undefined;
  /**
   * Milliseconds between two looks at the assignments, which are the heartbeat as well, for the group's timeout in
   * milliseconds. Default: 0.4 times the timeout. go-liftbridge: `FetchAssignmentsInterval`.
   */
  readonly fetchAssignmentsInterval?: ((timeout: number) => number) | undefined;
  /**
   * Milliseconds that a partition which goes to another member waits for the message that is being processed and for
   * `onRevoked`, together. Default 5_000.
   */
  readonly revokeTimeout?: number | undefined;
  /** Called when partitions were given to this member, before their first message; it is waited for. */
  readonly onAssigned?: PartitionsCallback | undefined;
  /** Called when partitions are given up, before their last checkpoint; it is waited for, up to `revokeTimeout`. */
  readonly onRevoked?: PartitionsCallback | undefined;
}

/** ConsumerOptions with every default filled in. */
export interface ResolvedConsumerOptions {
  readonly consumerId: string;
  /** Whether the application has chosen the id: other processes may have the same. */
  readonly isNamed: boolean;
  readonly autoCheckpoint: number | false;
  readonly autoOffset: AutoOffset;
  readonly fetchAssignmentsInterval: (timeout: number) => number;
  readonly revokeTimeout: number;
  readonly onAssigned: PartitionsCallback | undefined;
  readonly onRevoked: PartitionsCallback | undefined;
}

/** Options of `consumer.subscribe`. */
export interface ConsumeOptions extends CallOptions {
  /** Milliseconds until the group must have been joined. Default: the client's `requestTimeout`. */
  readonly timeout?: number | undefined;
  /** Ends the consumer: the loop throws the signal's reason, and the group is left in the background. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of `consumer.close`. */
export interface ConsumerCloseOptions {
  /**
   * Milliseconds for the whole of it. Default: what the message in progress has, and 5_000 for storing positions and
   * leaving the group.
   */
  readonly timeout?: number | undefined;
}

/** The defaults of a consumer. */
export const CONSUMER_DEFAULTS = Object.freeze({
  autoCheckpoint: 5_000,
  autoOffset: 'new',
  fetchAssignmentsInterval: (timeout: number): number => 0.4 * timeout,
  revokeTimeout: 5_000,
  onAssigned: undefined,
  onRevoked: undefined,
} satisfies Omit<ResolvedConsumerOptions, 'consumerId' | 'isNamed'>);

const CHECKPOINT: Rule = {
  expected: `false or ${milliseconds(0).expected}`,
  accepts: (value) => value === false || milliseconds(0).accepts(value),
};

const CONSUMER_SHAPE = {
  consumerId: identifier,
  autoCheckpoint: CHECKPOINT,
  autoOffset: oneOf('new', 'earliest', 'latest', 'none'),
  fetchAssignmentsInterval: callback,
  revokeTimeout: milliseconds(0),
  onAssigned: callback,
  onRevoked: callback,
} satisfies Shape<ConsumerOptions>;

/** One stream or more, by name. */
export const STREAMS: Rule = {
  expected: 'an array of at least one stream name',
  accepts: (value) => Array.isArray(value) && value.length > 0,
  read: (where, option, value) => arrayOf(streamName).read!(where, option, value),
};

/** Checks what `createConsumer` is given and fills the defaults in. Throws InvalidArgumentError. */
export function resolveConsumerOptions(groupId: unknown, options?: ConsumerOptions): ResolvedConsumerOptions {
  checkValue('createConsumer', 'groupId', groupId, identifier);
  const given = withoutUndefined(readOptions<ConsumerOptions>('createConsumer', options, CONSUMER_SHAPE));
  const isNamed = given.consumerId !== undefined;
  const resolved: ResolvedConsumerOptions = { consumerId: randomUUID(), isNamed, ...CONSUMER_DEFAULTS, ...given };
  return Object.freeze({ ...resolved, autoCheckpoint: resolved.autoCheckpoint || false });
}

/** Reads what `subscribe` is given, once. Throws InvalidArgumentError. */
export function readConsume(streams: unknown, options: unknown): ConsumeOptions & { readonly streams: string[] } {
  const names = readValue('consumer.subscribe', 'streams', streams, STREAMS) as string[];
  return { ...readOptions<ConsumeOptions>('consumer.subscribe', options, CALL_SHAPE), streams: names };
}

/** The pause between two polls. Throws InvalidArgumentError when the application's function returns something else, HandlerError when it throws. */
export function pollInterval(options: ResolvedConsumerOptions, consumerTimeout: number): number {
  let interval: unknown;
  try {
    interval = options.fetchAssignmentsInterval(consumerTimeout);
  } catch (cause) {
    const message = `consumer.subscribe: fetchAssignmentsInterval threw: ${messageOf(cause)}`;
    throw new HandlerError(message, { operation: 'consumer.subscribe', cause });
  }
  checkValue('consumer.subscribe', 'fetchAssignmentsInterval(timeout)', interval, milliseconds(1));
  return interval as number;
}
