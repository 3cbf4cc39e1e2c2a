import { types } from 'node:util';
import { InvalidArgumentError } from '../errors.js';
import {
  CALL_SHAPE,
  type CallOptions,
  checkValue,
  describe,
  flag,
  identifier,
  int64,
  milliseconds,
  partitionId,
  type Rule,
  readOptions,
  readParts,
  type Shape,
  streamName,
} from '../options.js';
import { type Consumer, StartPosition, StopPosition, SubscribeRequest } from '../protocol/generated/api.js';

/** Where a subscription begins. go-liftbridge: `StartAt...`. */
export type StartAt =
  | 'new'
  | 'latest'
  | 'earliest'
  | {
      /** At this offset. */
      readonly offset: bigint | number;
    }
  | {
      /** At the first message from this time on: a date, milliseconds since the epoch as a number, or nanoseconds as a bigint. */
      readonly time: Date | number | bigint;
    }
  | {
      /** This many milliseconds ago. */
      readonly ago: number;
    }
  | {
      /** Behind the offset that is stored under this id. */
      readonly cursor: string;
    };

/** Where a subscription ends by itself. go-liftbridge: `StopAt...`. */
export type StopAt =
  | 'latest'
  | {
      /** Behind the message at this offset. */
      readonly offset: bigint | number;
    }
  | {
      /** Behind the last message up to this time: a date, milliseconds since the epoch as a number, or nanoseconds as a bigint. */
      readonly time: Date | number | bigint;
    };

/** Options of `subscribe`. go-liftbridge: `SubscriptionOption`. */
export interface SubscribeOptions extends CallOptions {
  /** Milliseconds until the broker must have confirmed the subscription. Default: the client's `requestTimeout`. */
  readonly timeout?: number | undefined;
  /** Ends the subscription: its loop throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** 'all' merges every partition of the stream, each in its own order. Default 0. go-liftbridge: `Partition`. */
  readonly partition?: number | 'all' | undefined;
  /**
   * Default 'new': what is published after the call. 'latest' begins with the newest message. An offset beyond the end
   * waits for just that offset. Times are dates or nanoseconds since the epoch, `ago` is milliseconds before now.
   * A cursor begins behind the offset that it holds, or at the beginning when it holds none. Default when reading in
   * reverse: 'latest'. go-liftbridge: `StartAtOffset`, `StartAtEarliestReceived`, `StartAtLatestReceived`,
   * `StartAtTime`, `StartAtTimeDelta`.
   */
  readonly startAt?: StartAt | undefined;
  /** 'latest' is what is newest when the call is made; the message at an offset is still delivered. Default: never. go-liftbridge: `StopAtOffset`, `StopAtLatestReceived`, `StopAtTime`. */
  readonly stopAt?: StopAt | undefined;
  /** Lets any in-sync replica serve, which may lag behind the leader. Default false. go-liftbridge: `ReadISRReplica`. */
  readonly readIsrReplica?: boolean | undefined;
  /** Resumes a paused partition first. Default false. go-liftbridge: `Resume`. */
  readonly resume?: boolean | undefined;
  /** Reads from `startAt` down to the oldest message and ends there. Default false. go-liftbridge: `Reverse`. */
  readonly reverse?: boolean | undefined;
}

/** Where to begin, in the terms of one partition. Times are nanoseconds since the epoch. */
export type Start =
  | { readonly at: 'new' | 'latest' | 'earliest' }
  | { readonly at: 'offset'; readonly offset: bigint }
  | { readonly at: 'time'; readonly time: bigint }
  | { readonly at: 'cursor'; readonly cursor: string };

/** Where to end. */
export type Stop =
  | { readonly at: 'never' | 'latest' }
  | { readonly at: 'offset'; readonly offset: bigint }
  | { readonly at: 'time'; readonly time: bigint };

/** A read, checked and with every default filled in. */
export interface ReadPlan {
  readonly start: Start;
  readonly stop: Stop;
  readonly reverse: boolean;
  readonly readIsrReplica: boolean;
  readonly resume: boolean;
  /** Reads on behalf of a member of a consumer group. */
  readonly consumer: Consumer | undefined;
}

const NANOSECONDS = 1_000_000n;
/** The last time that fits into 64 bits of nanoseconds. A larger number is most likely one of nanoseconds. */
const LATEST_TIME_MS = 9_223_372_036_854;

const KINDS = ['offset', 'time', 'ago', 'cursor'];

const POSITION = (expected: string): Rule => ({
  expected,
  accepts: (value) => isObject(value) || typeof value === 'string',
  read: (where, name, value) => (isObject(value) ? readParts(where, name, value, KINDS) : value),
});

const SUBSCRIBE_SHAPE = {
  ...CALL_SHAPE,
  partition: { expected: "a partition id or 'all'", accepts: (value) => value === 'all' || partitionId.accepts(value) },
  startAt: POSITION("'new', 'latest', 'earliest', { offset }, { time }, { ago } or { cursor }"),
  stopAt: POSITION("'latest', { offset } or { time }"),
  readIsrReplica: flag,
  resume: flag,
  reverse: flag,
} satisfies Shape<SubscribeOptions>;

/** Reads the options of `subscribe` once. Throws InvalidArgumentError. */
export function readSubscribe(stream: unknown, options: SubscribeOptions | undefined): SubscribeOptions {
  checkValue('subscribe', 'stream', stream, streamName);
  return readOptions<SubscribeOptions>('subscribe', options, SUBSCRIBE_SHAPE);
}

/** The read that checked options ask for. Throws InvalidArgumentError. */
export function planRead(options: SubscribeOptions = {}): ReadPlan {
  const reverse = options.reverse ?? false;
  return {
    start: planStart(options.startAt ?? (reverse ? 'latest' : 'new'), reverse),
    stop: planStop(options.stopAt),
    reverse,
    readIsrReplica: options.readIsrReplica ?? false,
    resume: options.resume ?? false,
    consumer: undefined,
  };
}

function planStart(startAt: StartAt, reverse: boolean): Start {
  // Nothing is newer than 'new': in reverse it begins where 'latest' does.
  if (startAt === 'new') return { at: reverse ? 'latest' : 'new' };
  if (startAt === 'latest' || startAt === 'earliest') return { at: startAt };
  const [kind, value] = onlyEntry('startAt', startAt, SUBSCRIBE_SHAPE.startAt.expected);
  switch (kind) {
    case 'offset':
      checkValue('subscribe', 'startAt.offset', value, int64(0n));
      return { at: 'offset', offset: BigInt(value as bigint | number) };
    case 'time':
      return { at: 'time', time: nanoseconds('startAt.time', value) };
    case 'ago':
      checkValue('subscribe', 'startAt.ago', value, milliseconds(0, Number.MAX_SAFE_INTEGER));
      return { at: 'time', time: BigInt(Math.round(Date.now() - (value as number))) * NANOSECONDS };
    case 'cursor':
      checkValue('subscribe', 'startAt.cursor', value, identifier);
      return { at: 'cursor', cursor: value as string };
    default:
      throw wrongPosition('startAt', startAt, SUBSCRIBE_SHAPE.startAt.expected);
  }
}

function planStop(stopAt: StopAt | undefined): Stop {
  if (stopAt === undefined) return { at: 'never' };
  if (stopAt === 'latest') return { at: 'latest' };
  const [kind, value] = onlyEntry('stopAt', stopAt, SUBSCRIBE_SHAPE.stopAt.expected);
  if (kind === 'offset') {
    checkValue('subscribe', 'stopAt.offset', value, int64(0n));
    return { at: 'offset', offset: BigInt(value as bigint | number) };
  }
  if (kind !== 'time') throw wrongPosition('stopAt', stopAt, SUBSCRIBE_SHAPE.stopAt.expected);
  const time = nanoseconds('stopAt.time', value);
  // The server would end such a read at once rather than wait.
  if (time <= BigInt(Date.now()) * NANOSECONDS) return { at: 'time', time };
  throw new InvalidArgumentError(`subscribe: expected stopAt.time to be in the past, got ${describe(value)}`, {
    operation: 'subscribe',
  });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function onlyEntry(option: string, value: unknown, expected: string): [string, unknown] {
  const entries = isObject(value) ? Object.entries(value).filter(([, given]) => given !== undefined) : [];
  if (entries.length !== 1) throw wrongPosition(option, value, expected);
  return entries[0]!;
}

function wrongPosition(option: string, value: unknown, expected: string): InvalidArgumentError {
  const got = isObject(value) ? `{ ${Object.keys(value).join(', ')} } (object)` : describe(value);
  return new InvalidArgumentError(`subscribe: expected ${option} to be ${expected}, got ${got}`, {
    operation: 'subscribe',
  });
}

/** NaN for what is no time in milliseconds. */
function millisecondsOf(value: unknown): number {
  if (types.isDate(value)) return Date.prototype.getTime.call(value);
  return typeof value === 'number' && value >= 0 && value <= LATEST_TIME_MS ? Math.floor(value) : Number.NaN;
}

function nanoseconds(option: string, value: unknown): bigint {
  const milliseconds = millisecondsOf(value);
  if (Number.isFinite(milliseconds)) return BigInt(milliseconds) * NANOSECONDS;
  if (typeof value === 'bigint' && value >= 0n && value < 2n ** 63n) return value;
  throw new InvalidArgumentError(
    `subscribe: expected ${option} to be a valid Date, a number of milliseconds or a bigint of nanoseconds since the epoch, got ${describe(value)}`,
    { operation: 'subscribe' },
  );
}

/** Where one attempt at reading begins and ends: the plan, as far as it is not overtaken by what was read already. */
export interface Range {
  readonly start: Exclude<Start, { at: 'cursor' }>;
  readonly stop: Stop;
}

/** The request for a range, encoded. In reverse the end is for the client to see: brokers refuse a stop below the start. */
export function encodeSubscribe(stream: string, partition: number, plan: ReadPlan, { start, stop }: Range): Uint8Array {
  const end = plan.reverse ? ({ at: 'never' } as const) : stop;
  return SubscribeRequest.encode({
    stream,
    partition,
    startPosition: START[start.at],
    startOffset: start.at === 'offset' ? start.offset : 0n,
    startTimestamp: start.at === 'time' ? start.time : 0n,
    readISRReplica: plan.readIsrReplica,
    resume: plan.resume,
    stopPosition: STOP[end.at],
    stopOffset: end.at === 'offset' ? end.offset : 0n,
    stopTimestamp: end.at === 'time' ? end.time : 0n,
    consumer: plan.consumer,
    reverse: plan.reverse,
  }).finish();
}

const START = {
  new: StartPosition.NEW_ONLY,
  latest: StartPosition.LATEST,
  earliest: StartPosition.EARLIEST,
  offset: StartPosition.OFFSET,
  time: StartPosition.TIMESTAMP,
} as const;

const STOP = {
  never: StopPosition.STOP_ON_CANCEL,
  latest: StopPosition.STOP_LATEST,
  offset: StopPosition.STOP_OFFSET,
  time: StopPosition.STOP_TIMESTAMP,
} as const;
