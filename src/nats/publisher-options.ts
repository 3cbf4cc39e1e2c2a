import { ENVELOPE_SHAPE, type EnvelopeOptions } from '../envelope/envelope-options.js';
import { InvalidArgumentError } from '../errors.js';
import {
  ackInbox,
  CALL_SHAPE,
  type CallOptions,
  CLIENT_DEFAULTS,
  group,
  integer,
  type Logger,
  loggerWith,
  type MaxInFlight,
  milliseconds,
  publishSubject,
  type Rule,
  readOptions,
  type Shape,
} from '../options.js';

/** Options of `natsPublisher`. */
export interface NatsPublisherOptions {
  /** Milliseconds that a publish waits for its acks, waiting for its turn included. Default 5_000. */
  readonly timeout?: number | undefined;
  /**
   * What may be under way at a time: by default 16_384 messages and 64 MiB. Beyond it publishes wait in order. A message
   * larger than `bytes` goes alone.
   */
  readonly maxInFlight?: MaxInFlight | undefined;
  /** Start of the inbox subject, for users that may only subscribe below a prefix of their own. Default '_INBOX'. */
  readonly inboxPrefix?: string | undefined;
  /** Is given acks that no publish waits for any more, and data that is no ack. Default: nowhere. */
  readonly logger?: Logger | undefined;
}

/** NatsPublisherOptions with every default filled in. */
export interface ResolvedPublisherOptions {
  readonly timeout: number;
  readonly maxInFlight: { readonly messages: number; readonly bytes: number };
  readonly inboxPrefix: string;
  readonly logger: Logger;
}

/** Options of one publish. */
export interface NatsPublishOptions extends EnvelopeOptions, CallOptions {
  /**
   * How many streams to wait for, 1 to 1_000: each that listens on the subject acknowledges the message or refuses it, and
   * counts once. When one refuses it, the publish rejects after all have answered; the error has the other acks. Default 1.
   */
  readonly acks?: number | undefined;
}

/** What `natsPublisher` takes for a connection. */
export const natsConnection: Rule = {
  expected: 'an open connection of nats 2.x or @nats-io/nats-core 3.x',
  accepts: (value) =>
    typeof value === 'object' &&
    value !== null &&
    ['publish', 'subscribe', 'flush', 'closed', 'isClosed', 'status'].every(
      (name) => typeof Reflect.get(value, name) === 'function',
    ),
};

const PUBLISHER_SHAPE = {
  timeout: milliseconds(1),
  maxInFlight: group<MaxInFlight>({ messages: integer(1), bytes: integer(1) }),
  inboxPrefix: publishSubject,
  logger: loggerWith('a logger with debug and warn', ['debug', 'warn']),
} satisfies Shape<NatsPublisherOptions>;

/** More streams than that on one subject are not to be expected; it bounds what a publish keeps. */
const MOST_ACKS = 1_000;

const PUBLISH_SHAPE = {
  ...ENVELOPE_SHAPE,
  ...CALL_SHAPE,
  ackInbox,
  acks: integer(1, MOST_ACKS),
} satisfies Shape<NatsPublishOptions>;

/** Reads the options of `natsPublisher` and fills the defaults in. Throws InvalidArgumentError. */
export function resolvePublisherOptions(given?: NatsPublisherOptions): ResolvedPublisherOptions {
  const options = readOptions<NatsPublisherOptions>('natsPublisher', given, PUBLISHER_SHAPE);
  const { messages, bytes } = CLIENT_DEFAULTS.maxInFlight;
  return {
    timeout: options.timeout ?? CLIENT_DEFAULTS.ackTimeout,
    maxInFlight: { messages: options.maxInFlight?.messages ?? messages, bytes: options.maxInFlight?.bytes ?? bytes },
    inboxPrefix: options.inboxPrefix ?? '_INBOX',
    logger: options.logger ?? CLIENT_DEFAULTS.logger,
  };
}

/** Reads the options of a publish, which must not contradict each other. Throws InvalidArgumentError. */
export function readPublishOptions(given: NatsPublishOptions | undefined): NatsPublishOptions {
  const options = readOptions<NatsPublishOptions>('publish', given, PUBLISH_SHAPE);
  const silent =
    options.ackPolicy === 'none' ? "ackPolicy 'none'" : options.ackInbox ? 'an ackInbox of your own' : null;
  if (options.acks !== undefined && silent !== null)
    throw new InvalidArgumentError(`publish: acks contradicts ${silent}: no ack comes back to this publisher`, {
      operation: 'publish',
    });
  return options;
}
