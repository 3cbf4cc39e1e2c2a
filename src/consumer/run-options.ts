import { CALL_SHAPE, integer, milliseconds, name, readOptions, type Shape, withoutUndefined } from '../options.js';
import type { Message } from '../protocol/received-message.js';
import { type ConsumeOptions, STREAMS } from './consumer-options.js';

/** Context of a message for its handler. */
export interface HandlerContext {
  /** Counts the attempts at this message, from 1. */
  readonly attempt: number;
  /** Aborted when the partition goes to another member before the handler is done, or the consumer ends. */
  readonly signal: AbortSignal;
}

/** Processes one message; the message counts as processed when it resolves. */
export type MessageHandler = (message: Message, context: HandlerContext) => unknown;

/** Options of `consumer.run`. */
export interface RunOptions extends ConsumeOptions {
  /** Streams to subscribe to. Needed unless `subscribe` was called before. */
  readonly streams?: readonly string[] | undefined;
  /** Messages that are handled at the same time, each of another partition: the order in a partition is kept. Default 1. */
  readonly concurrency?: number | undefined;
  /** How often a message is handled again after its handler failed. Default 3. */
  readonly retries?: number | undefined;
  /** Milliseconds before the first retry; doubles from there, less a random part of up to a half. Default 100. */
  readonly minDelay?: number | undefined;
  /** Milliseconds at most between retries. Default 10_000. */
  readonly maxDelay?: number | undefined;
  /**
   * Stream that a message is published to when all retries failed; it then counts as processed. Default: none, the
   * consumer ends with HANDLER_FAILED and the message is not processed.
   */
  readonly deadLetter?: string | undefined;
}

/** RunOptions with every default filled in. */
export interface ResolvedRunOptions extends Pick<RunOptions, 'streams' | 'signal' | 'timeout'> {
  readonly concurrency: number;
  readonly retries: number;
  readonly minDelay: number;
  readonly maxDelay: number;
  readonly deadLetter: string | undefined;
}

/** How messages are handled unless told otherwise. */
export const RUN_DEFAULTS = Object.freeze({
  concurrency: 1,
  retries: 3,
  minDelay: 100,
  maxDelay: 10_000,
  deadLetter: undefined,
} satisfies ResolvedRunOptions);

const RUN_SHAPE = {
  ...CALL_SHAPE,
  streams: STREAMS,
  concurrency: integer(1, 10_000),
  retries: integer(0),
  minDelay: milliseconds(0),
  maxDelay: milliseconds(0),
  deadLetter: name,
} satisfies Shape<RunOptions>;

/** Reads the options of `run` once and fills the defaults in. Throws InvalidArgumentError. */
export function resolveRunOptions(given?: RunOptions): ResolvedRunOptions {
  const options = readOptions<RunOptions>('consumer.run', given, RUN_SHAPE);
  return Object.freeze({ ...RUN_DEFAULTS, ...withoutUndefined(options) });
}
