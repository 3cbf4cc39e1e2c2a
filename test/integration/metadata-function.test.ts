import { type Client, connect, type Message } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const REASON = new Error('the token service is away');

let broker: TestBroker;
let client: Client;
/** The behaviour of the metadata function. */
let make: () => Record<string, string> | Promise<Record<string, string>>;

const sound = () => ({ authorization: 'token' });

beforeEach(async () => {
  make = sound;
  broker = await TestBroker.start();
  client = await connect([...broker.addresses], {
    retry: { minDelay: 1, maxDelay: 5 },
    requestTimeout: 60_000,
    ackTimeout: 60_000,
    metadata: () => make(),
  });
  await client.createStream('orders', 'orders');
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await broker.close();
});

const failing: [how: string, make: () => never, cause: unknown][] = [
  [
    'throws',
    () => {
      throw REASON;
    },
    REASON,
  ],
  ['rejects', () => Promise.reject(REASON) as never, REASON],
  ['returns a reserved name', () => ({ 'grpc-timeout': '1S' }) as never, expect.any(TypeError)],
  ['returns nothing', () => undefined as never, expect.any(TypeError)],
];

const operations: [name: string, call: () => Promise<unknown>][] = [
  ['ping', () => client.ping()],
  ['fetchMetadata', () => client.fetchMetadata()],
  ['createStream', () => client.createStream('other', 'other')],
  ['setCursor', () => client.setCursor('reader', 'orders', 0, 1)],
  ['publishToSubject', () => client.publishToSubject('orders', 'x')],
  ['publish', () => client.publish('orders', 'x')],
  ['publish without an ack', () => client.publish('orders', 'x', { ackPolicy: 'none' })],
  ['publish to a stream that is looked up first', () => client.publish('unknown', 'x')],
  [
    'publishAsync',
    () =>
      new Promise((resolve, reject) =>
        client.publishAsync('orders', 'x', (error, ack) => (error === null ? resolve(ack) : reject(error))),
      ),
  ],
  [
    'publishAll',
    async () => {
      for await (const _ack of client.publishAll('orders', ['x', 'y'])) expect.unreachable();
    },
  ],
  ['subscribe', () => client.subscribe('orders', { timeout: 500 })],
];

describe.each(failing)('a metadata function that %s', (_how, fails, cause) => {
  it.each(operations)('fails %s with HANDLER_FAILED and its error', async (_name, call) => {
    make = fails;
    await expect(call()).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause });
    make = sound;
    expect(await client.publish('orders', 'next')).toMatchObject({ stream: 'orders' });
    expect(broker.messages('orders').map(({ value }) => String(value))).toEqual(['next']);
  });

  it('fails connect', async () => {
    const connecting = connect([...broker.addresses], { metadata: fails, connectTimeout: 300 });
    await expect(connecting).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause });
  });
});

describe('a metadata function that fails twice', () => {
  it.each(operations.filter(([name]) => !/looked up/.test(name)))('is called again by %s', async (name, call) => {
    let left = 2;
    make = () => {
      if (left-- > 0) throw REASON;
      return sound();
    };
    if (name === 'publishAll') {
      const acks = [];
      for await (const ack of client.publishAll('orders', ['x', 'y'])) acks.push(ack);
      expect(acks).toHaveLength(2);
    } else await call();
    expect(left).toBeLessThan(0);
  });

  it('does not end a subscription that is opened again', async () => {
    const subscription = await client.subscribe('orders', { startAt: 'earliest' });
    let left = 2;
    make = () => {
      if (left-- > 0) throw REASON;
      return sound();
    };
    await broker.stopBroker(0);
    await broker.startBroker(0);
    void client.publish('orders', 'after');
    for await (const message of subscription as AsyncIterable<Message>) {
      expect(message.text()).toBe('after');
      break;
    }
  });
});
