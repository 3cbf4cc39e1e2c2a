import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, connect, LiftbridgeError } from '../../src/index.js';
import { PublishResponse } from '../../src/protocol/generated/api.js';
import { fuzz } from '../support/fuzz.js';
import { HOSTILE } from '../support/hostile.js';
import { ScriptedCluster } from '../support/scripted-cluster.js';

let cluster: ScriptedCluster;
let client: Client;
let uncaught: unknown[];
const catchAll = (error: unknown): void => void uncaught.push(error);

beforeEach(async () => {
  cluster = await ScriptedCluster.start(1);
  cluster.leaders.set('orders', [0, 0]);
  client = await connect(cluster.addresses, { ackTimeout: 10_000, maxInFlight: { messages: 64 } });
  uncaught = [];
  process.on('uncaughtExceptionMonitor', catchAll);
  process.on('unhandledRejection', catchAll);
});

afterEach(async () => {
  process.off('uncaughtExceptionMonitor', catchAll);
  process.off('unhandledRejection', catchAll);
  await client.close({ timeout: 0 });
  await cluster[Symbol.asyncDispose]();
});

/** The error that a call threw, rejected with or reported; null when it succeeded. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    return error;
  }
}

async function drain(acks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of acks);
}

type Options = Record<string, unknown>;

/** Every publish method as a function of a value and options. */
const WAYS: Readonly<Record<string, (value: unknown, options: unknown) => unknown>> = {
  publish: (value, options) => client.publish('orders', value as string, options as Options),
  publishAsync: (value, options) =>
    new Promise((resolve, reject) => {
      client.publishAsync(
        'orders',
        value as string,
        (error, ack) => (error ? reject(error) : resolve(ack)),
        options as Options,
      );
    }),
  publishAll: (value, options) => drain(client.publishAll('orders', [value as string], options as Options)),
  'publishAll with options of the message': (value, options) =>
    drain(client.publishAll('orders', [withValue(value, options) as never])),
};

/** The options with this value added; options that cannot be copied are used unchanged. */
function withValue(value: unknown, options: unknown): unknown {
  try {
    return { ...(options as Options), value };
  } catch {
    return options;
  }
}

const OPTIONS = [
  ...['key', 'headers', 'ackPolicy', 'ackInbox', 'correlationId', 'expectedOffset', 'partition', 'partitioner'],
  ...['signal', 'timeout', 'unknown'],
];

describe('hostile values and options', () => {
  it('succeed or fail with a typed error, and never affect the next publish', { timeout: 120_000 }, async () => {
    const hostile = fc.constantFrom(...Object.keys(HOSTILE));
    let next = 0;
    const property = fc.asyncProperty(
      fc.constantFrom(...Object.keys(WAYS)),
      fc.constantFrom(...OPTIONS, null),
      hostile,
      fc.boolean(),
      async (way, option, what, inValue) => {
        const value = inValue ? HOSTILE[what]!() : 'value';
        const options = option === null ? HOSTILE[what]!() : { [option]: HOSTILE[what]!() };
        const error = await outcome(() => WAYS[way]!(value, inValue ? undefined : options));
        if (error !== null) {
          expect(error).toBeInstanceOf(LiftbridgeError);
          expect((error as LiftbridgeError).operation).toBeTypeOf('string');
          expect((error as LiftbridgeError).message.length).toBeLessThan(1_000);
        }
        const text = `next ${next++}`;
        await client.publish('orders', text, { partition: 1 });
        expect(cluster.received.at(-1)).toMatchObject({ value: text });
      },
    );
    await fc.assert(property, fuzz(400));
    expect(cluster.calls).toHaveLength(1);
    expect(uncaught).toEqual([]);
  });

  it.each(Object.keys(WAYS))('%s reads each option once, also when a class defines it', async (way) => {
    class Given {
      readonly #answers: unknown[] = [1, 'abc', -1];
      get partition(): unknown {
        return this.#answers.shift();
      }
    }
    const given = new Given();
    // A spread copies own properties only, so these options are passed as their own object.
    const options = way.endsWith('of the message') ? { partition: given.partition } : given;
    expect(await outcome(() => WAYS[way]!('value', options))).toBeNull();
    expect(cluster.received.at(-1)?.request.partition).toBe(1);
    class Wrong {
      readonly value = 'value';
      get partition(): unknown {
        return 'abc';
      }
    }
    const call = way.endsWith('of the message')
      ? () => drain(client.publishAll('orders', [new Wrong() as never]))
      : () => WAYS[way]!('value', Object.create({ partition: 'abc' }));
    expect(await outcome(call)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('partition to be a whole number from 0 to 2147483647, got "abc" (string)'),
    });
  });

  it('rejects an unpaired surrogate in strings that are compared', async () => {
    for (const options of [
      { key: 'k\udc00' },
      { correlationId: '\ud800' },
      { ackInbox: '\ud800' },
      { headers: { '\udc00': 'v' } },
    ])
      expect(await outcome(() => client.publish('orders', 'v', options))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await outcome(() => client.publish('\ud800', 'v'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('bytes that change while the publish waits', () => {
  let release: () => void;
  beforeEach(async () => {
    await client.publish('orders', 'warm');
    const held: (() => void)[] = [];
    cluster.onPublish = (publish) => void held.push(() => publish.ack());
    release = () => {
      cluster.onPublish = (publish) => publish.ack();
      for (const ack of held) ack();
    };
    for (let n = 0; n < 64; n++) void outcome(() => client.publish('orders', 'fills the window'));
  });

  it('are stored with their original value, up to 1 KiB', async () => {
    const [value, key, header] = [Buffer.alloc(1_024, 'v'), Buffer.from('key'), Buffer.from('header')];
    const published = client.publish('orders', value, { key, headers: { h: header } });
    for (const bytes of [value, key, header]) bytes.fill('x');
    release();
    await published;
    const { request } = cluster.received.at(-1)!;
    expect(Buffer.from(request.value).equals(Buffer.alloc(1_024, 'v'))).toBe(true);
    expect([request.key, request.headers.get('h')].map((bytes) => Buffer.from(bytes!).toString())).toEqual([
      'key',
      'header',
    ]);
  });

  it('fail only their own publish when their buffer is transferred', async () => {
    const large = new Uint8Array(2_048);
    const published = outcome(() => client.publish('orders', large));
    const next = client.publish('orders', 'next');
    structuredClone(large.buffer, { transfer: [large.buffer] });
    release();
    expect(await published).toMatchObject({
      code: 'INVALID_ARGUMENT',
      stream: 'orders',
      message: expect.stringContaining('transferred to another owner'),
    });
    await next;
    expect(cluster.received.at(-1)?.value).toBe('next');
    expect(cluster.calls).toHaveLength(1);
  });
});

describe('responses that no broker sends', () => {
  it('are ignored without ack and error', async () => {
    cluster.onPublish = (publish) => {
      const { correlationId } = publish.request;
      publish.answer(PublishResponse.encode({ ack: undefined, asyncError: undefined, correlationId }).finish());
      publish.ack();
    };
    expect(await client.publish('orders', 'v')).toMatchObject({ stream: 'orders' });
    expect(cluster.calls).toHaveLength(1);
  });

  it('for other streams are kept up to a limit of a hundred', async () => {
    await client.publish('orders', 'warm');
    cluster.onPublish = (publish) => {
      const { correlationId } = publish.request;
      const ack = {
        partitionSubject: 's',
        msgSubject: 's',
        offset: 1n,
        ackInbox: '',
        correlationId,
        ackPolicy: 0 as const,
      };
      const times = { receptionTimestamp: 1n, commitTimestamp: 1n, ackError: 0 as const };
      for (let n = 0; n < 1_000; n++) {
        const response = {
          ack: { ...ack, ...times, stream: `other ${n % 500}` },
          asyncError: undefined,
          correlationId,
        };
        publish.answer(PublishResponse.encode(response).finish());
      }
    };
    const error = (await outcome(() => client.publish('orders', 'v', { timeout: 500 }))) as {
      otherAcks: readonly object[];
    };
    expect(error).toMatchObject({ code: 'ACK_TIMEOUT' });
    expect(error.otherAcks).toHaveLength(100);
    expect(error.otherAcks[99]).toMatchObject({ stream: 'other 99' });
  });

  it('that are not valid protobuf fail the publishes in flight as lost, and the next publish uses a new stream', async () => {
    cluster.onPublish = (publish) => publish.answer(Buffer.from([0x0a, 0xff]));
    expect(await outcome(() => client.publish('orders', 'v'))).toMatchObject({
      code: 'CONNECTION',
      outcome: 'unknown',
      stream: 'orders',
      message: expect.stringContaining('truncated'),
    });
    cluster.onPublish = (publish) => publish.ack();
    expect(await client.publish('orders', 'next')).toMatchObject({ stream: 'orders' });
    expect(uncaught).toEqual([]);
  });
});
