import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as envelope from '../../src/envelope.js';
import * as index from '../../src/index.js';
import { type Client, connect, LiftbridgeError } from '../../src/index.js';
import * as nats from '../../src/nats.js';
import { type NatsConnection, natsPublisher } from '../../src/nats.js';
import { HOSTILE } from '../support/hostile.js';
import { CONNECTION, failureOf, faultOf, type Method, publicMethods, variants } from '../support/hostile-calls.js';

/** The names are known before the broker starts; the objects that they are called on are not. */
const NAMES = Object.keys(publicMethods({} as never));
let broker: TestBroker;
let client: Client;
let METHODS: Readonly<Record<string, Method>>;
const uncaught: unknown[] = [];
const catchAll = (error: unknown): void => void uncaught.push(error);

beforeAll(async () => {
  process.on('uncaughtExceptionMonitor', catchAll);
  process.on('unhandledRejection', catchAll);
  broker = await TestBroker.start({ cursorsPartitions: 1, activityStream: true });
  client = await connect(broker.addresses, { requestTimeout: 1_000, ackTimeout: 1_000 });
  await client.createStream('orders', 'orders', { partitions: 2 });
  METHODS = publicMethods({ client, addresses: broker.addresses, nats: CONNECTION });
});

afterAll(async () => {
  process.off('uncaughtExceptionMonitor', catchAll);
  process.off('unhandledRejection', catchAll);
  await client.close({ timeout: 0 });
  await broker.close();
});

/** Functions of a class, or of a module without its classes, by the names that `publicMethods` uses. */
function functionsOf(holder: object, prefix = '', except: readonly string[] = []): string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(holder))
    .filter(([name, { value }]) => typeof value === 'function' && !['constructor', ...except].includes(name))
    .filter(([, { value }]) => !String(value).startsWith('class '))
    .map(([name]) => prefix + name);
}

it('every public method is called with hostile values', async () => {
  const subscription = await client.subscribe('orders');
  const consumer = client.createConsumer('reflected');
  const publisher = natsPublisher(CONNECTION);
  const expected = [
    ...functionsOf(Object.getPrototypeOf(client), '', ['close']),
    'client.close',
    // Called only by the client, and marked as such.
    ...functionsOf(Object.getPrototypeOf(subscription), 'subscription.', ['open']),
    ...functionsOf(Object.getPrototypeOf(consumer), 'consumer.'),
    ...functionsOf(Object.getPrototypeOf(publisher), 'natsPublisher.'),
    // A partitioner receives the parts of a message from the client, which has validated them.
    ...functionsOf({ ...index }, '', ['partitionByKey', 'partitionByMurmur', 'partitionByRoundRobin', 'toPartition']),
    ...functionsOf({ ...envelope }),
    ...functionsOf({ ...nats }),
  ];
  expect(Object.keys(METHODS).toSorted()).toEqual([...new Set(expected)].toSorted());
  expect(Object.keys(HOSTILE).length).toBeGreaterThanOrEqual(40);
  await Promise.all([subscription.close(), consumer.close(), publisher.close()]);
});

/** Every call of a method with a hostile value in it. */
function* hostileCalls(
  name: string,
  method: Method,
): Generator<{ readonly what: string; readonly call: () => unknown }> {
  for (const [value, make] of Object.entries(HOSTILE))
    for (const [where, given] of variants(name, method, make))
      yield { what: `${where}, ${value}`, call: () => method.call(...(given as never[])) };
}

describe('every public method', () => {
  it.each(NAMES)('%s succeeds or fails with a typed error for every hostile value', async (name) => {
    const faults = await Promise.all(
      [...hostileCalls(name, METHODS[name]!)].map(async ({ what, call }) => {
        const fault = await faultOf(call);
        return fault === null ? null : `${what}: ${fault}`;
      }),
    );
    expect(faults.filter((fault) => fault !== null)).toEqual([]);
    expect(await client.publish('orders', 'next', { partition: 1, timeout: 10_000 })).toMatchObject({
      messageSubject: 'orders.1',
    });
    expect(uncaught).toEqual([]);
  });

  it.each(NAMES)('%s sends nothing when it rejects an argument', async (name) => {
    const invalid = await invalidCalls(METHODS[name]!, name);
    let sent = 0;
    const counts = (): Record<string, string> => {
      sent++;
      return {};
    };
    await using idle = await connect(broker.addresses, { metadata: counts, metadataMaxAge: 3_600_000 });
    const sound = (): Promise<unknown> => idle.publish('orders', 'sound', { partition: 1, timeout: 10_000 });
    await sound();
    const connections = await countingServer();
    const watched = { ...CONNECTION, publish: () => void sent++ } as NatsConnection;
    const methods = publicMethods({
      client: idle,
      addresses: broker.addresses,
      connectTo: connections.addresses,
      nats: watched,
    });
    const [sentBefore, storedBefore] = [sent, stored()];
    for (const { what, call } of hostileCalls(name, methods[name]!)) {
      if (!invalid.has(what)) continue;
      // Any function is a valid partitioner; its result is known when metadata returns the partitions.
      if (name === 'publishToSubject' && what === 'partitioner, a function') {
        invalid.delete(what);
        continue;
      }
      expect([what, codeOf(await failureOf(call))]).toEqual([what, 'INVALID_ARGUMENT']);
      // The next publish succeeds, is the only stored one, and needs no new call.
      await sound();
      expect([what, sent - sentBefore, connections.count]).toEqual([what, 0, 0]);
    }
    expect(stored() - storedBefore).toBe(invalid.size);
    await connections.close();
  });
});

/** The calls that the method rejects because of their arguments. */
async function invalidCalls(method: Method, name: string): Promise<Set<string>> {
  const calls = await Promise.all(
    [...hostileCalls(name, method)].map(async ({ what, call }) => ({ what, code: codeOf(await failureOf(call)) })),
  );
  return new Set(calls.filter(({ code }) => code === 'INVALID_ARGUMENT').map(({ what }) => what));
}

function codeOf(error: unknown): string | undefined {
  return error instanceof LiftbridgeError ? error.code : undefined;
}

function stored(): number {
  return broker.messages('orders', 1).length;
}

/** A server that counts its connections. */
async function countingServer(): Promise<{ addresses: string[]; readonly count: number; close(): Promise<void> }> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.destroy();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    addresses: [`127.0.0.1:${(server.address() as AddressInfo).port}`],
    get count() {
      return count;
    },
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('options', () => {
  /** Options whose getters return a valid value once, and an invalid value after that. */
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

it('connect asks for an array when it receives a list in one string', async () => {
  await expect(connect('a:1,b:2')).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('pass an array'),
  });
});
