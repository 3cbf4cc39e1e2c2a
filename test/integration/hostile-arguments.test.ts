import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAck, decodeMessage, encodeAck, encodeMessage, isEnvelope } from '../../src/envelope.js';
import { type Client, connect, LiftbridgeError } from '../../src/index.js';
import { type NatsConnection, natsPublisher } from '../../src/nats.js';
import { HOSTILE } from '../support/hostile.js';

let broker: TestBroker;
let client: Client;
const uncaught: unknown[] = [];
const catchAll = (error: unknown): void => void uncaught.push(error);

beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', catchAll);
  process.on('unhandledRejection', catchAll);
  broker = await TestBroker.start({ cursorsPartitions: 1, activityStream: true });
  client = await connect(broker.addresses, { requestTimeout: 1_000, ackTimeout: 1_000 });
  await client.createStream('orders', 'orders', { partitions: 2 });
});

afterAll(async () => {
  process.off('uncaughtExceptionMonitor', catchAll);
  process.off('unhandledRejection', catchAll);
  await client.close({ timeout: 0 });
  await broker.close();
});

/** A connection that takes everything and never answers. */
const CONNECTION = {
  publish: () => undefined,
  subscribe: () => ({ unsubscribe: () => undefined }),
  flush: () => Promise.resolve(),
  closed: () => new Promise(() => undefined),
  isClosed: () => false,
  status: () => ({ async *[Symbol.asyncIterator]() {} }),
} as unknown as NatsConnection;

/** Stands for the addresses of the broker, which are known once it runs. */
const BROKER = 'the broker';

type Call = (...given: never[]) => unknown;

/** A call with good arguments, and the names of its options, which follow the arguments. */
interface Method {
  readonly call: Call;
  readonly good: readonly unknown[];
  readonly options: readonly string[];
}

const WAIT = ['signal', 'timeout'];
const SHORT = { timeout: 100 };

const METHODS: Readonly<Record<string, Method>> = {
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
    options: ['consumerId', 'autoCheckpoint', 'autoOffset', 'fetchAssignmentsInterval', 'revokeTimeout', 'onAssigned'],
  },
  'consumer.subscribe': {
    call: (...given) => withConsumer((consumer) => consumer.subscribe(...(given as unknown as [string[]]))),
    good: [['absent']],
    options: WAIT,
  },
  'consumer.run': {
    call: (...given) => withConsumer((consumer) => consumer.run(...(given as unknown as [() => void]))),
    good: [() => undefined],
    options: ['streams', 'concurrency', 'retries', 'minDelay', 'maxDelay', 'deadLetter', ...WAIT],
  },
  'consumer.lag': {
    call: (...given) => withConsumer((consumer) => consumer.lag(...(given as []))),
    good: [],
    options: WAIT,
  },
  'consumer.close': {
    call: (...given) => withConsumer((consumer) => consumer.close(...(given as []))),
    good: [],
    options: ['timeout'],
  },
  natsPublisher: {
    call: (...given) => natsPublisher(...(given as unknown as [NatsConnection])).close(),
    good: [CONNECTION],
    options: ['timeout', 'maxInFlight', 'inboxPrefix', 'logger'],
  },
  'natsPublisher.publish': {
    call: (...given) => natsPublisher(CONNECTION, SHORT).publish(...(given as unknown as [string, string])),
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
      const to = servers === BROKER ? broker.addresses : (servers as string);
      return (await connect(to, ...(given as object[]))).close({ timeout: 0 });
    },
    good: [BROKER],
    options: [
      ...['tls', 'serverSelection', 'connectTimeout', 'requestTimeout', 'ackTimeout', 'resubscribeTimeout'],
      ...['metadataMaxAge', 'maxInFlight', 'retry', 'logger', 'maxMessageBytes', 'resolveBroker', 'metadata', 'signal'],
    ],
  },
};

async function withConsumer(use: (consumer: ReturnType<Client['createConsumer']>) => Promise<unknown>): Promise<void> {
  const consumer = client.createConsumer('group');
  try {
    await use(consumer);
  } finally {
    await consumer.close({ timeout: 0 });
  }
}

async function drain(acks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of acks);
}

/** Limits that end calls which work, next to the hostile option. */
const LIMITS: Readonly<Record<string, object>> = {
  connect: { connectTimeout: 50, retry: { attempts: 1 } },
  createConsumer: {},
  natsPublisher: SHORT,
  encodeMessage: {},
  'consumer.close': {},
};

function* variants(name: string, { good, options }: Method, value: () => unknown): Generator<[string, unknown[]]> {
  const limits = LIMITS[name] ?? SHORT;
  for (let position = 0; position <= good.length; position++) {
    const given = position < good.length ? [...good, limits] : [...good, undefined];
    given[position] = value();
    yield [`argument ${position}`, given];
  }
  for (const option of options) yield [option, [...good, { ...limits, [option]: value() }]];
}

/** Null when the call works or fails as it should. */
async function wrong(call: () => unknown): Promise<string | null> {
  try {
    await call();
    return null;
  } catch (error) {
    if (error instanceof LiftbridgeError && typeof error.code === 'string') return null;
    return `${String((error as Error | undefined)?.stack ?? error).slice(0, 400)}`;
  }
}

describe('every public method', () => {
  it.each(Object.keys(METHODS))('%s works or fails with a typed error, whatever it is given', async (name) => {
    const method = METHODS[name]!;
    const all = Object.entries(HOSTILE).flatMap(([what, make]) =>
      [...variants(name, method, make)].map(([where, given]) => ({ what, where, given })),
    );
    const raw = await Promise.all(
      all.map(async ({ what, where, given }) => {
        const text = await wrong(() => method.call(...(given as never[])));
        return text === null ? null : `${where}, ${what}: ${text}`;
      }),
    );
    expect(raw.filter((text) => text !== null)).toEqual([]);
    expect(await client.publish('orders', 'next', { partition: 1, timeout: 10_000 })).toMatchObject({
      messageSubject: 'orders.1',
    });
    expect(uncaught).toEqual([]);
  });
});

describe('options', () => {
  /** Options whose getters answer well once, and badly after that. */
  function once(options: Record<string, unknown>): never {
    const given = {};
    for (const [name, value] of Object.entries(options)) {
      const answers = [value];
      Object.defineProperty(given, name, {
        enumerable: true,
        get: () => {
          if (answers.length === 0) throw new Error(`${name} is read again`);
          return answers.pop();
        },
      });
    }
    return given as never;
  }

  it('are read once by every call', async () => {
    await client.createStream(
      'once',
      'once',
      once({ partitions: 2, group: 'g', waitForLeaders: true, timeout: 9_000 }),
    );
    await client.pauseStream('once', once({ partitions: [0], resumeAll: false, timeout: 9_000 }));
    await client.setStreamReadonly('once', once({ partitions: [1], readonly: false, timeout: 9_000 }));
    await client.fetchMetadata(once({ streams: ['once'], groups: [], timeout: 9_000 }));
    await client.fetchPartitionMetadata('orders', 1, once({ timeout: 9_000 }));
    await client.setCursor('c', 'orders', 1, 5, once({ timeout: 9_000 }));
    expect(await client.fetchCursor('c', 'orders', 1, once({ timeout: 9_000 }))).toBe(5n);
    await client.ping(once({ timeout: 9_000 }));
    await client.flush(once({ timeout: 9_000 }));
    const startAt = once({ offset: 0 });
    const subscription = await client.subscribe('orders', once({ partition: 1, startAt, timeout: 9_000 }));
    expect(subscription.partition).toBe(1);
    await subscription.close();
    const consumer = client.createConsumer('once', once({ consumerId: 'me', autoOffset: 'earliest' }));
    expect(consumer.consumerId).toBe('me');
    await consumer.subscribe(['orders'], once({ timeout: 9_000 }));
    await consumer.lag(once({ timeout: 9_000 }));
    await consumer.close(once({ timeout: 9_000 }));
    await client.deleteStream('once', once({ timeout: 9_000 }));
  });

  it('may be defined by a class', async () => {
    class Given {
      get partition(): number {
        return 1;
      }
      get startAt(): unknown {
        return new (class {
          get offset(): number {
            return 2;
          }
        })();
      }
    }
    const subscription = await client.subscribe('orders', new Given() as never);
    for await (const message of subscription) {
      expect(message).toMatchObject({ partition: 1, offset: 2n });
      break;
    }
  });
});

it('connect asks for an array when it is given a list in one string', async () => {
  await expect(connect('a:1,b:2')).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('pass an array'),
  });
});
