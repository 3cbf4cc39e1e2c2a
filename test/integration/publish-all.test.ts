import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Ack, type Client, type ClientOptions, connect } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';

let broker: TestBroker;
let client: Client;

async function reconnect(options: ClientOptions): Promise<void> {
  await client.close();
  client = await connect(broker.addresses, { ...PATIENT, ...options });
}

beforeEach(async () => {
  broker = await TestBroker.start();
  client = await connect(broker.addresses, PATIENT);
  await client.createStream('orders', 'orders', { partitions: 4 });
});
afterEach(async () => {
  await client.close({ timeout: 100 });
  await broker.close();
});

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));
const stored = (partition = 0) =>
  broker.messages('orders', partition).map(({ value }) => Buffer.from(value ?? []).toString());

async function collect(acks: AsyncIterable<Ack>): Promise<Ack[]> {
  const all: Ack[] = [];
  for await (const ack of acks) all.push(ack);
  return all;
}

describe('publishAll', () => {
  it('publishes a source in order and returns its acks in order', async () => {
    const acks = await collect(client.publishAll('orders', numbers(2_000)));
    expect(acks.map(({ offset }) => Number(offset))).toEqual(numbers(2_000).map(Number));
    expect(stored()).toEqual(numbers(2_000));
  });

  it('prefers the options of a message to the options of the call', async () => {
    const source = [
      { value: 'a', partition: 1 },
      { value: 'b', key: 'k' },
    ];
    const acks = await collect(client.publishAll('orders', source, { partition: 2 }));
    expect(acks.map(({ messageSubject }) => messageSubject)).toEqual(['orders.1', 'orders.2']);
  });

  it('reads ahead no further than the window, and waits for a slow reader', async () => {
    await reconnect({ maxInFlight: { messages: 8 } });
    let pulled = 0;
    function* source() {
      for (; pulled < 1_000; ) yield String(pulled++);
    }
    let read = 0;
    for await (const ack of client.publishAll('orders', source())) {
      expect(Number(ack.offset)).toBe(read++);
      expect(pulled - read).toBeLessThanOrEqual(8);
      if (read === 30) await turns();
    }
    expect([read, pulled]).toEqual([1_000, 1_000]);
  });

  it('returns acks while a slow source has no next message', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* source() {
      yield 'a';
      yield 'b';
      await gate;
      yield 'c';
    }
    const offsets: bigint[] = [];
    for await (const { offset } of client.publishAll('orders', source())) {
      offsets.push(offset);
      if (offset === 1n) release();
    }
    expect(offsets).toEqual([0n, 1n, 2n]);
  });

  it('ends with the first failure after the acks of earlier messages, and closes the source', async () => {
    let left = false;
    async function* source() {
      try {
        for (const n of numbers(10)) yield n === '3' ? { value: n, partition: 77 } : n;
      } finally {
        left = true;
      }
    }
    const offsets: bigint[] = [];
    const loop = (async () => {
      for await (const { offset } of client.publishAll('orders', source())) offsets.push(offset);
    })();
    await expect(loop).rejects.toMatchObject({ code: 'NO_SUCH_PARTITION', partition: 77 });
    expect(offsets).toEqual([0n, 1n, 2n]);
    expect(left).toBe(true);
  });

  it('rejects with the error of the source as the cause, after the acks of earlier messages', async () => {
    const broken = new Error('source');
    function* source() {
      yield 'a';
      throw broken;
    }
    const offsets: bigint[] = [];
    const loop = (async () => {
      for await (const { offset } of client.publishAll('orders', source())) offsets.push(offset);
    })();
    const context = { code: 'HANDLER_FAILED', stream: 'orders', operation: 'publishAll', cause: broken };
    await expect(loop).rejects.toMatchObject(context);
    expect(offsets).toEqual([0n]);
  });

  it('throws errors of this package and the reason of its signal unchanged', async () => {
    const controller = new AbortController();
    const own = await client.publish('no-such-stream', 'v').catch((error: unknown) => error);
    async function* source(thrown: unknown) {
      yield 'a';
      throw thrown;
    }
    await expect(collect(client.publishAll('orders', source(own)))).rejects.toBe(own);
    controller.abort('enough');
    const options = { signal: controller.signal };
    await expect(collect(client.publishAll('orders', source('enough'), options))).rejects.toBe('enough');
  });

  it.each([
    [
      'whose iterator cannot be made',
      () => {
        throw new Error('broken');
      },
    ],
    ['that returns no iterator result', () => ({ next: () => null })],
    [
      'that is a proxy and throws',
      () =>
        new Proxy(
          {},
          {
            get() {
              throw new Error('broken');
            },
          },
        ),
    ],
  ])('rejects with HANDLER_FAILED for a source %s', async (_what, iterate) => {
    const source = { [Symbol.iterator]: iterate } as unknown as Iterable<string>;
    await expect(collect(client.publishAll('orders', source))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      stream: 'orders',
      cause: expect.any(Error),
    });
  });

  it('throws the error of closing the source, unless an earlier failure has occurred', async () => {
    const broken = new Error('broken');
    const source = (entry: unknown) => ({
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: entry }),
        return: () => {
          throw broken;
        },
      }),
    });
    const left = (async () => {
      for await (const _ of client.publishAll('orders', source('v') as Iterable<string>)) break;
    })();
    await expect(left).rejects.toMatchObject({ code: 'HANDLER_FAILED', cause: broken });
    await expect(collect(client.publishAll('orders', source(5) as never))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('closes the source when the reader ends its loop', async () => {
    let left = false;
    function* source() {
      try {
        for (;;) yield 'x';
      } finally {
        left = true;
      }
    }
    for await (const { offset } of client.publishAll('orders', source())) if (offset === 5n) break;
    expect(left).toBe(true);
  });

  it('ends with the reason of its signal while the source is silent', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    async function* source() {
      await new Promise(() => undefined);
      yield 'never';
    }
    const loop = collect(client.publishAll('orders', source(), { signal: controller.signal }));
    const failed = expect(loop).rejects.toBe(reason);
    await turns();
    controller.abort(reason);
    await failed;
  });

  it.each([
    ['text', 'abc'],
    ['bytes', Buffer.from('abc')],
    ['nothing', null],
    ['a number', 5],
  ])('rejects %s as a source', async (_what, source) => {
    await expect(collect(client.publishAll('orders', source as never))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('source'),
    });
  });

  it.each([2, 1_000])('lets a hundred pipelines share a window of %d', async (messages) => {
    await reconnect({ maxInFlight: { messages } });
    const pipelines = Array.from({ length: 100 }, async (_, id) => {
      async function* slow() {
        for (const n of numbers(30)) yield `${id}:${n}`;
      }
      const quick = numbers(30).map((n) => `${id}:${n}`);
      return await collect(client.publishAll('orders', id % 2 ? slow() : quick, { partition: id % 4 }));
    });
    for (const acks of await Promise.all(pipelines)) expect(acks).toHaveLength(30);
    for (const id of [0, 1, 99]) {
      const own = stored(id % 4).filter((value) => value.startsWith(`${id}:`));
      expect(own).toEqual(numbers(30).map((n) => `${id}:${n}`));
    }
  });

  it('makes progress while other publishes always fill the window', async () => {
    await reconnect({ maxInFlight: { messages: 4 } });
    let running = true;
    const pressure = Array.from({ length: 20 }, async () => {
      while (running) await client.publish('orders', 'pressure', { partition: 1 });
    });
    expect(await collect(client.publishAll('orders', numbers(50)))).toHaveLength(50);
    running = false;
    await Promise.all(pressure);
  });
});
