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
   * Limits of the publishes in flight: by default 16_384 messages and 64 MiB. Beyond them publishes wait in order. A message
   * larger than `bytes` is sent alone.
   */
  readonly maxInFlight?: MaxInFlight | undefined;
  /** Start of the inbox subject, for users that may only subscribe below a prefix of their own. Default '_INBOX'. */
  readonly inboxPrefix?: string | undefined;
  /** Gets acks that no publish waits for, and messages that are no acks. Default: none. */
  readonly logger?: Logger | undefined;
}

/** NatsPublisherOptions with all defaults. */
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
   * counts once. When one refuses it, the publish rejects after all acks have come; the error has the other acks. Default 1.
   */
  readonly acks?: number | undefined;
}

/** A connection that `natsPublisher` accepts. */
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

/** Bounds the acks that a publish keeps; more streams on one subject are not expected. */
const MOST_ACKS = 1_000;

const PUBLISH_SHAPE = {
  ...ENVELOPE_SHAPE,
  ...CALL_SHAPE,
  ackInbox,
  acks: integer(1, MOST_ACKS),
} satisfies Shape<NatsPublishOptions>;

/** Reads the options of `natsPublisher` and adds the defaults. Throws InvalidArgumentError. */
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

/** Reads the options of a publish. Throws InvalidArgumentError for a wrong or contradictory option. */
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
