import { decodeAck, decodeMessage, encodeAck, encodeMessage, isEnvelope } from '../../src/envelope.js';
import { type Client, connect, LiftbridgeError, type Subscription } from '../../src/index.js';
import { type NatsConnection, natsPublisher } from '../../src/nats.js';

/** A connection that accepts everything and never responds. */
export const CONNECTION: NatsConnection = {
  publish: () => undefined,
  subscribe: () => ({ unsubscribe: () => undefined }),
  flush: () => Promise.resolve(),
  closed: () => new Promise(() => undefined),
  isClosed: () => false,
  status: () => ({ async *[Symbol.asyncIterator]() {} }),
} as unknown as NatsConnection;

/** Placeholder for the addresses of the broker, which are known after it has started. */
const BROKER = 'the broker';

export type Call = (...given: never[]) => unknown;

/** A call with valid arguments, and the names of its options, which follow the arguments. */
export interface Method {
  readonly call: Call;
  readonly good: readonly unknown[];
  readonly options: readonly string[];
}

const WAIT = ['signal', 'timeout'];
export const SHORT = { timeout: 100 };

/** The objects that the methods are called on. */
export interface Called {
  /** Connected to a cluster with the stream `orders` of two partitions. */
  readonly client: Client;
  readonly addresses: readonly string[];
  /** The addresses for `connect`; by default those of the cluster. */
  readonly connectTo?: readonly string[];
  readonly nats: NatsConnection;
}

/** Every public method and function, by its name. */
export function publicMethods({
  client,
  addresses,
  connectTo = addresses,
  nats,
}: Called): Readonly<Record<string, Method>> {
  return {
    createStream: {
      call: (...given) => client.createStream(...(given as unknown as Parameters<Client['createStream']>)),
      good: ['hostile', 'orders'],
      options: [
        ...['group', 'partitions', 'replicationFactor', 'retentionMaxBytes', 'retentionMaxAge', 'compactEnabled'],
        ...['minIsr', 'encryption', 'waitForLeaders', ...WAIT],
      ],
    },
    pauseStream: {
      call: (...given) => client.pauseStream(...(given as unknown as Parameters<Client['pauseStream']>)),
      good: ['orders'],
      options: ['partitions', 'resumeAll', ...WAIT],
    },
    setStreamReadonly: {
      call: (...given) => client.setStreamReadonly(...(given as unknown as Parameters<Client['setStreamReadonly']>)),
      good: ['absent'],
      options: ['partitions', 'readonly', ...WAIT],
    },
    deleteStream: {
      call: (...given) => client.deleteStream(...(given as unknown as Parameters<Client['deleteStream']>)),
      good: ['absent'],
      options: WAIT,
    },
    publish: {
      call: (...given) => client.publish(...(given as unknown as Parameters<Client['publish']>)),
      good: ['orders', 'v'],
      options: ['key', 'headers', 'ackPolicy', 'ackInbox', 'correlationId', 'expectedOffset', 'partition', ...WAIT],
    },
    publishAsync: {
      call: (...given) => client.publishAsync(...(given as unknown as Parameters<Client['publishAsync']>)),
      good: ['orders', 'v', () => undefined],
      options: ['key', 'headers', 'ackPolicy', 'correlationId', 'partition', 'partitioner', ...WAIT],
    },
    publishAll: {
      call: (...given) => drain(client.publishAll(...(given as unknown as Parameters<Client['publishAll']>))),
      good: ['orders', ['v']],
      options: ['key', 'headers', 'ackPolicy', 'correlationId', 'partition', 'partitioner', ...WAIT],
    },
    publishBatch: {
      call: (...given) => client.publishBatch(...(given as unknown as Parameters<Client['publishBatch']>)),
      good: ['orders', ['v']],
      options: ['key', 'headers', 'ackPolicy', 'correlationId', 'partition', 'partitioner', ...WAIT],
    },
    publishToSubject: {
      call: (...given) => client.publishToSubject(...(given as unknown as Parameters<Client['publishToSubject']>)),
      good: ['orders', 'v'],
      options: ['key', 'headers', 'ackPolicy', 'ackInbox', 'correlationId', 'partition', 'partitioner', ...WAIT],
    },
    subscribe: {
      call: async (...given) =>
        (await client.subscribe(...(given as unknown as Parameters<Client['subscribe']>))).close(),
      good: ['orders'],
      options: ['partition', 'startAt', 'stopAt', 'readIsrReplica', 'resume', 'reverse', ...WAIT],
    },
    activity: {
      call: (...given) => client.activity(...(given as unknown as Parameters<Client['activity']>)),
      good: [],
      options: ['startAt', 'stopAt', ...WAIT],
    },
    fetchMetadata: {
      call: (...given) => client.fetchMetadata(...(given as unknown as Parameters<Client['fetchMetadata']>)),
      good: [],
      options: ['streams', 'groups', ...WAIT],
    },
    fetchPartitionMetadata: {
      call: (...given) =>
        client.fetchPartitionMetadata(...(given as unknown as Parameters<Client['fetchPartitionMetadata']>)),
      good: ['orders', 0],
      options: WAIT,
    },
    setCursor: {
      call: (...given) => client.setCursor(...(given as unknown as Parameters<Client['setCursor']>)),
      good: ['cursor', 'orders', 0, 1],
      options: WAIT,
    },
    fetchCursor: {
      call: (...given) => client.fetchCursor(...(given as unknown as Parameters<Client['fetchCursor']>)),
      good: ['cursor', 'orders', 0],
      options: WAIT,
    },
    ping: { call: (...given) => client.ping(...(given as [])), good: [], options: WAIT },
    flush: { call: (...given) => client.flush(...(given as [])), good: [], options: WAIT },
    createConsumer: {
      call: (...given) => client.createConsumer(...(given as unknown as Parameters<Client['createConsumer']>)).close(),
      good: ['group'],
      options: [
        'consumerId',
        'autoCheckpoint',
        'autoOffset',
        'fetchAssignmentsInterval',
        'revokeTimeout',
        'onAssigned',
      ],
    },
    'consumer.subscribe': {
      call: (...given) => withConsumer(client, (consumer) => consumer.subscribe(...(given as unknown as [string[]]))),
      good: [['absent']],
      options: WAIT,
    },
    'consumer.run': {
      call: (...given) => withConsumer(client, (consumer) => consumer.run(...(given as unknown as [() => void]))),
      good: [() => undefined],
      options: ['streams', 'concurrency', 'retries', 'minDelay', 'maxDelay', 'deadLetter', ...WAIT],
    },
    'consumer.lag': {
      call: (...given) => withConsumer(client, (consumer) => consumer.lag(...(given as []))),
      good: [],
      options: WAIT,
    },
    'consumer.close': {
      call: (...given) => withConsumer(client, (consumer) => consumer.close(...(given as []))),
      good: [],
      options: ['timeout'],
    },
    natsPublisher: {
      call: (...given) => natsPublisher(...(given as unknown as [NatsConnection])).close(),
      good: [nats],
      options: ['timeout', 'maxInFlight', 'inboxPrefix', 'logger'],
    },
    'natsPublisher.publish': {
      call: (...given) => natsPublisher(nats, SHORT).publish(...(given as unknown as [string, string])),
      good: ['orders', 'v'],
      options: ['key', 'headers', 'ackPolicy', 'ackInbox', 'correlationId', 'expectedOffset', 'acks', ...WAIT],
    },
    encodeMessage: {
      call: (...given) => encodeMessage(...(given as unknown as [string])),
      good: ['v'],
      options: ['key', 'headers', 'ackInbox', 'correlationId', 'ackPolicy', 'expectedOffset', 'checksum'],
    },
    encodeAck: { call: (...given) => encodeAck(...(given as unknown as [never])), good: [{}], options: [] },
    decodeMessage: { call: (...given) => decodeMessage(...(given as unknown as [never])), good: ['x'], options: [] },
    decodeAck: { call: (...given) => decodeAck(...(given as unknown as [never])), good: ['x'], options: [] },
    isEnvelope: { call: (...given) => isEnvelope(...(given as unknown as [never])), good: ['x'], options: [] },
    connect: {
      call: async (servers, ...given) => {
        const to = servers === BROKER ? connectTo : (servers as string);
        return (await connect(to, ...(given as object[]))).close({ timeout: 0 });
      },
      good: [BROKER],
      options: [
        ...['tls', 'serverSelection', 'connectTimeout', 'requestTimeout', 'ackTimeout', 'resubscribeTimeout'],
        ...[
          'metadataMaxAge',
          'maxInFlight',
          'retry',
          'logger',
          'maxMessageBytes',
          'resolveBroker',
          'metadata',
          'signal',
        ],
      ],
    },
    'client.close': {
      call: async (...given) => {
        await using other = await connect(addresses);
        await other.close(...(given as []));
      },
      good: [],
      options: ['timeout'],
    },
    'subscription.close': {
      call: (...given) => withSubscription(client, (subscription) => (subscription.close as Call)(...given)),
      good: [],
      options: [],
    },
    'subscription.batches': {
      call: (...given) => withSubscription(client, (subscription) => (subscription.batches as Call)(...given)),
      good: [],
      options: [],
    },
    'consumer.checkpoint': {
      call: (...given) => withConsumer(client, async (consumer) => (consumer.checkpoint as Call)(...given)),
      good: [],
      options: [],
    },
    'natsPublisher.close': {
      call: (...given) => (natsPublisher(nats, SHORT).close as Call)(...given),
      good: [],
      options: [],
    },
  };
}

async function withConsumer(
  client: Client,
  use: (consumer: ReturnType<Client['createConsumer']>) => Promise<unknown>,
): Promise<void> {
  const consumer = client.createConsumer('group');
  try {
    await use(consumer);
  } finally {
    await consumer.close({ timeout: 0 });
  }
}

async function withSubscription(client: Client, use: (subscription: Subscription) => unknown): Promise<void> {
  const subscription = await client.subscribe('orders', { partition: 1, timeout: 10_000 });
  try {
    await use(subscription);
  } finally {
    await subscription.close();
  }
}

async function drain(acks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of acks);
}

/** Options that end successful calls, in addition to the hostile option. */
const LIMITS: Readonly<Record<string, object>> = {
  connect: { connectTimeout: 50, retry: { attempts: 1 } },
  createConsumer: {},
  natsPublisher: SHORT,
  encodeMessage: {},
  'consumer.close': {},
};

export function* variants(
  name: string,
  { good, options }: Method,
  value: () => unknown,
): Generator<[string, unknown[]]> {
  const limits = LIMITS[name] ?? SHORT;
  for (let position = 0; position <= good.length; position++) {
    const given = position < good.length ? [...good, limits] : [...good, undefined];
    given[position] = value();
    yield [`argument ${position}`, given];
  }
  for (const option of options) yield [option, [...good, { ...limits, [option]: value() }]];
}

/** Null when the call succeeds or fails with a typed error, else a description of the fault. */
export async function faultOf(call: () => unknown): Promise<string | null> {
  const error = await failureOf(call);
  if (error === null || (error instanceof LiftbridgeError && typeof error.code === 'string')) return null;
  return String((error as Error | undefined)?.stack ?? error).slice(0, 400);
}

/** The error that the call throws or rejects with; null when it succeeds. */
export async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    return error ?? new Error('it threw nothing');
  }
}
