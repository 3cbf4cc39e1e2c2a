import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, type LiftbridgeError } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

let broker: TestBroker;
let client: Client;

beforeEach(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 1 });
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders');
});

afterEach(async () => {
  await client.close();
  await broker.close();
});

async function failureOf(call: () => unknown): Promise<LiftbridgeError> {
  try {
    await call();
  } catch (error) {
    return error as LiftbridgeError;
  }
  throw new Error('the call did not fail');
}

/** The lines of the stack that point to this file. */
const framesHere = (error: Error): string[] =>
  (error.stack ?? '').split('\n').filter((line) => line.includes('call-sites.test.ts'));

const calls: readonly [string, string, () => Promise<unknown>][] = [
  ['a publish to an unknown stream', 'NO_SUCH_STREAM', async () => await client.publish('nowhere', 'x')],
  [
    'a publish to a wrong partition',
    'NO_SUCH_PARTITION',
    async () => await client.publish('orders', 'x', { partition: 7 }),
  ],
  [
    'a publish with a header of a wrong type',
    'INVALID_ARGUMENT',
    async () => await client.publish('orders', 'x', { headers: { a: 1 as never } }),
  ],
  [
    'a publish that is too large',
    'MESSAGE_TOO_LARGE',
    async () => await client.publish('orders', Buffer.alloc(5 * 1024 * 1024)),
  ],
  [
    'publishes that are awaited together',
    'NO_SUCH_PARTITION',
    async () => await Promise.all([client.publish('orders', 'x'), client.publish('orders', 'x', { partition: 7 })]),
  ],
  [
    'a publish that is caught and awaited',
    'NO_SUCH_STREAM',
    async () => await client.publish('nowhere', 'x').finally(() => undefined),
  ],
  [
    'connect to a port without a server',
    'CONNECTION',
    async () => await connect('127.0.0.1:1', { connectTimeout: 50 }),
  ],
  ['connect with a wrong option', 'INVALID_ARGUMENT', async () => await connect('127.0.0.1:1', { ackTimeout: -1 })],
  ['createStream', 'STREAM_EXISTS', async () => await client.createStream('orders', 'orders')],
  ['subscribe to an unknown stream', 'NO_SUCH_STREAM', async () => await client.subscribe('nowhere')],
  ['publishToSubject', 'ACK_TIMEOUT', async () => await client.publishToSubject('nowhere', 'x', { timeout: 50 })],
  ['fetchCursor', 'INVALID_ARGUMENT', async () => await client.fetchCursor('', 'orders', 0)],
  [
    'a consumer of a group without a position',
    'NO_OFFSET',
    async () => {
      const consumer = client.createConsumer('billing', { autoOffset: 'none' });
      for await (const message of await consumer.subscribe(['orders'])) throw new Error(`not expected: ${message}`);
    },
  ],
  [
    'a loop over a stream that is deleted',
    'STREAM_DELETED',
    async () => {
      const subscription = await client.subscribe('orders');
      setImmediate(() => void client.deleteStream('orders'));
      for await (const message of subscription) throw new Error(`not expected: ${message}`);
    },
  ],
  [
    'publishAll',
    'NO_SUCH_PARTITION',
    async () => {
      for await (const ack of client.publishAll('orders', [{ value: 'x', partition: 7 }]))
        throw new Error(`not expected: ${ack}`);
    },
  ],
];

describe('the stack of a rejection', () => {
  it.each(calls)('contains the line of the caller: %s (%s)', async (_title, code, call) => {
    const error = await failureOf(call);
    expect(error.code).toBe(code);
    expect(framesHere(error)).not.toEqual([]);
    expect(error.stack).toMatch(new RegExp(`^${error.name}: `));
  });

  it('contains the line of the caller even when the promise is not awaited', async () => {
    const errors: LiftbridgeError[] = [];
    function unawaited(): void {
      client.fetchMetadata({ streams: [''] }).catch((error: LiftbridgeError) => errors.push(error));
      client.deleteStream('nowhere').catch((error: LiftbridgeError) => errors.push(error));
    }
    unawaited();
    await expect.poll(() => errors.length).toBe(2);
    for (const error of errors) expect(error.stack).toContain('at unawaited ');
  });

  it('contains the line of the caller when the error is thrown synchronously', () => {
    const call = () => client.publishAsync('orders', 'x', () => undefined, { partition: -1 });
    expect(call).toThrow(expect.objectContaining({ stack: expect.stringContaining('at call ') }));
    const make = () => client.createConsumer('');
    expect(make).toThrow(expect.objectContaining({ stack: expect.stringContaining('at make ') }));
  });

  it('does not change the reason of a signal', async () => {
    const reason = new Error('enough');
    const { stack } = reason;
    const error = await failureOf(() => client.fetchMetadata({ signal: AbortSignal.abort(reason) }));
    expect(error).toBe(reason);
    expect(error.stack).toBe(stack);
  });

  it('can be replaced, like the stack of any error', async () => {
    const error = await failureOf(() => client.deleteStream('nowhere'));
    error.stack = 'mine';
    expect(error.stack).toBe('mine');
    expect(Object.keys(error)).not.toContain('stack');
  });
});
