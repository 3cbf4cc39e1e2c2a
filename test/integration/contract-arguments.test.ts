import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect, LiftbridgeError } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

let broker: TestBroker;
let client: Client;

beforeAll(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 1, activityStream: true });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', { partitions: 2 });
});

afterAll(async () => {
  await client.close();
  await broker.close();
});

/** The error of a call that must fail immediately, whether it throws or rejects. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('the call did not fail');
}

async function first(iterable: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of iterable) return;
}

type Options = Record<string, unknown>;

/** Every call of a client that takes options, with a valid target. */
const CALLS: Record<string, (client: Client, options?: Options) => unknown> = {
  createStream: (to, options) => to.createStream('refused', 'refused', options),
  deleteStream: (to, options) => to.deleteStream('orders', options),
  pauseStream: (to, options) => to.pauseStream('orders', options),
  setStreamReadonly: (to, options) => to.setStreamReadonly('orders', options),
  publish: (to, options) => to.publish('orders', 'refused', options),
  publishAll: (to, options) => first(to.publishAll('orders', ['refused'], options)),
  publishBatch: (to, options) => to.publishBatch('orders', ['refused'], options),
  publishToSubject: (to, options) => to.publishToSubject('orders', 'refused', options),
  subscribe: (to, options) => to.subscribe('orders', options),
  fetchMetadata: (to, options) => to.fetchMetadata(options),
  fetchPartitionMetadata: (to, options) => to.fetchPartitionMetadata('orders', 0, options),
  setCursor: (to, options) => to.setCursor('cursor', 'orders', 0, 5, options),
  fetchCursor: (to, options) => to.fetchCursor('cursor', 'orders', 0, options),
  activity: (to, options) => to.activity(options),
  ping: (to, options) => to.ping(options),
  flush: (to, options) => to.flush(options),
};

/** The invalid values of each option, by call. */
const BAD: Record<string, Record<string, readonly unknown[]>> = {
  createStream: {
    partitions: [-1, 1.5, Number.NaN, '3', 2 ** 31],
    replicationFactor: [-2, 'all', 1.5],
    retentionMaxBytes: [-1, 1.5, 2n ** 63n, '1'],
    retentionMaxAge: [-1, Number.NaN, '1'],
    compactEnabled: [1, 'true', null],
    minIsr: [-1, 2 ** 31],
    group: [3, null],
    encryption: [0],
  },
  pauseStream: { partitions: [[-1], 1, ['0']], resumeAll: [1] },
  setStreamReadonly: { partitions: [[-1], 1], readonly: [1] },
  publish: {
    key: [5, {}],
    headers: [5, 'x', { a: 5 }, { a: null }],
    ackPolicy: ['LEADER', 0, null],
    ackInbox: [5, 'a b'],
    correlationId: [5],
    expectedOffset: [1.5, '1', 2n ** 63n, -2],
    partition: [-1, 1.5, '0', 'all'],
    partitioner: [5, {}],
  },
  subscribe: {
    partition: [-1, 1.5, 'ALL', '0', null],
    startAt: ['foo', 5, {}, { offset: -1 }, { time: 'x' }, { time: new Date(Number.NaN) }, { ago: -1 }, { cursor: '' }],
    stopAt: ['earliest', 'new', { offset: -1 }, {}, { ago: 3 }, { time: new Date(Date.now() + 60_000) }],
    readIsrReplica: [1],
    resume: ['x'],
    reverse: [0],
  },
  fetchMetadata: { streams: ['x', [5]], groups: [['']] },
};

describe('an invalid option', () => {
  const rows = Object.entries(CALLS).flatMap(([call, run]) =>
    Object.entries({ ...BAD[call], timeout: [-1, '5', Number.NaN], signal: [{}, 3], nonsense: [1] }).map(
      ([option, values]) => ({ call, option, values, run }),
    ),
  );

  it.each(rows)('$option of $call is named in the error, and nothing is sent', async ({ option, values, run }) => {
    for (const value of values) {
      const error = await failure(() => run(client, { [option]: value }));
      expect(error).toMatchObject({ name: 'InvalidArgumentError', code: 'INVALID_ARGUMENT' });
      expect((error as Error).message).toContain(option);
    }
    expect(broker.messages('orders')).toEqual([]);
  });

  it('of connect is rejected with its name, before any broker is called', async () => {
    const bad: Record<string, readonly unknown[]> = {
      tls: ['x', { caa: 1 }, { rejectUnauthorized: 'no' }],
      serverSelection: ['fast'],
      connectTimeout: [-1, '1'],
      requestTimeout: [-1],
      ackTimeout: [null],
      resubscribeTimeout: [-1],
      maxInFlight: [5, { messages: 0 }, { bytes: -1 }, { foo: 1 }],
      retry: [{ attempts: 0 }, { bla: 1 }],
      logger: [console.log, {}],
      maxMessageBytes: [0],
      resolveBroker: ['x'],
      metadata: ['x', { a: 5 }, { 'bad name': 'x' }, { token: 'line\nbreak' }, { 'grpc-timeout': '1S' }],
      nonsense: [1],
    };
    for (const [option, values] of Object.entries(bad))
      for (const value of values) {
        const error = await failure(() => connect('127.0.0.1:1', { [option]: value }));
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(option) });
      }
  });

  it.each([[''], [[]], [['']], ['a:b:c'], ['host:99999'], [5], ['http://host'], [['127.0.0.1:1', '']]])(
    'servers %j is rejected with its name',
    async (servers) => {
      const error = await failure(() => connect(servers as string));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('servers') });
    },
  );
});

describe('an invalid argument', () => {
  it.each<[string, string, (to: Client) => unknown]>([
    ['subject', 'createStream', (to) => to.createStream(5 as never, 'x')],
    ['name', 'createStream', (to) => to.createStream('x', '')],
    ['stream', 'publish', (to) => to.publish('', 'x')],
    ['value', 'publish', (to) => to.publish('orders', 5 as never)],
    ['value', 'publish', (to) => to.publish('orders', undefined as never)],
    ['onAck', 'publishAsync', (to) => to.publishAsync('orders', 'x', undefined as never)],
    ['value', 'publishAsync', (to) => to.publishAsync('orders', 5 as never, () => undefined)],
    ['source', 'publishAll', (to) => first(to.publishAll('orders', 5 as never))],
    ['source', 'publishAll', (to) => first(to.publishAll('orders', 'text' as never))],
    ['message', 'publishAll', (to) => first(to.publishAll('orders', [5 as never]))],
    ['message.value', 'publishAll', (to) => first(to.publishAll('orders', [{ key: 'k' } as never]))],
    ['subject', 'publishToSubject', (to) => to.publishToSubject('a b', 'x')],
    ['subject', 'publishToSubject', (to) => to.publishToSubject('a.*', 'x')],
    ['subject', 'publishToSubject', (to) => to.publishToSubject('a.>', 'x')],
    ['stream', 'subscribe', (to) => to.subscribe('')],
    ['partition', 'fetchPartitionMetadata', (to) => to.fetchPartitionMetadata('orders', -1)],
    ['cursorId', 'setCursor', (to) => to.setCursor('', 'orders', 0, 1)],
    ['offset', 'setCursor', (to) => to.setCursor('c', 'orders', 0, 1.5)],
    ['groupId', 'createConsumer', (to) => to.createConsumer('')],
    ['autoOffset', 'createConsumer', (to) => to.createConsumer('g', { autoOffset: 'first' as never })],
    ['streams', 'consumer.subscribe', (to) => to.createConsumer('g').subscribe([])],
  ])('%s of %s is rejected with its name', async (argument, call, run) => {
    const error = await failure(() => run(client));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((error as Error).message).toMatch(new RegExp(`^${call}.*${argument}`));
    expect(broker.messages('orders')).toEqual([]);
  });
});

describe('every call', () => {
  it.each(Object.entries(CALLS))('%s rejects with the reason of a signal that is aborted', async (_, run) => {
    const reason = new Error('not any more');
    expect(await failure(() => run(client, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(broker.messages('orders')).toEqual([]);
  });

  it('rejects with CLOSED after the client is closed', async () => {
    const closed = await connect(broker.addresses, PATIENT);
    await Promise.all([closed.close(), closed.close()]);
    await closed[Symbol.asyncDispose]();
    const calls: Record<string, (to: Client) => unknown> = {
      ...CALLS,
      publishAsync: () =>
        new Promise((resolve, reject) =>
          closed.publishAsync('orders', 'x', (error) => (error ? reject(error) : resolve(0))),
        ),
      createConsumer: async () => await closed.createConsumer('group').subscribe(['orders']),
    };
    for (const run of Object.values(calls)) {
      const error = await failure(() => run(closed));
      expect(LiftbridgeError.is(error)).toBe(true);
      expect(error).toMatchObject({ name: 'ClosedError', code: 'CLOSED' });
    }
  });
});
