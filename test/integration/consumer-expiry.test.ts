import { type Client, type Consumer, connect, type Message } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { closing } from '../support/closing.js';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { LONG_TIMEOUTS, OFTEN } from './consumer-harness.js';

const HOUR = 3_600_000;
const NEVER = { fetchAssignmentsInterval: () => 2 ** 31 - 1 };

/** Milliseconds by which the clocks of the clients are ahead, as if the process had been stopped for this time. */
const stopped = vi.hoisted(() => ({ ms: 0 }));
vi.mock('../../src/async/clock.js', () => ({
  monotonicNow: () => performance.now() + stopped.ms,
  wallNow: () => performance.now() + stopped.ms,
}));
beforeEach(() => {
  stopped.ms = 0;
});

/** A consumer with its loop and the messages that it has processed. */
class Reader {
  readonly offsets: bigint[] = [];
  error: unknown = null;
  readonly #messages: AsyncIterator<Message>;

  constructor(
    readonly consumer: Consumer,
    messages: AsyncIterable<Message>,
  ) {
    this.#messages = messages[Symbol.asyncIterator]();
  }

  /** Takes one message, which counts as processed when the loop requests the next one. */
  async one(): Promise<bigint> {
    return (await this.#messages.next()).value!.offset;
  }

  /** Processes all messages that arrive. */
  start(): void {
    void (async () => {
      for (let next = await this.#messages.next(); !next.done; next = await this.#messages.next())
        this.offsets.push(next.value.offset);
    })().catch((error: unknown) => {
      this.error = error;
    });
  }
}

/** A stream with ten messages, and a member that is handling one of them when its connections go silent and it expires. */
async function expired(consumerId: string) {
  const broker = closing(await TestBroker.start({ cursorsPartitions: 1, groups: LONG_TIMEOUTS }));
  const publisher = closing(await connect(broker.addresses as string[], PATIENT));
  await publisher.createStream('orders', 'orders');
  const publish = async (count: number) => {
    for (let i = 0; i < count; i++) await publisher.publish('orders', 'x');
  };
  await publish(10);
  const proxy = closing(await TcpProxy.start(broker.addresses[0]!));
  const resolveBroker = () => proxy.address;
  const client = closing(await connect(proxy.address, { ...PATIENT, resolveBroker }));
  const reader = await read(client, consumerId, { ...NEVER, autoCheckpoint: false });
  expect(await reader.one()).toBe(0n);
  await eventually('the other messages have arrived', async () => (await reader.consumer.lag())[0]!.lag === 10n);
  const claim = () => publisher.fetchCursor(`__member:group:${consumerId}`, '__cursors', 0);
  await eventually('it has noted that it has the id', async () => (await claim()) >= 0n);
  proxy.forget();
  proxy.refusal = Buffer.alloc(0);
  const wake = (): void => {
    proxy.refusal = null;
  };
  await broker.clock.advance(2 * HOUR);
  stopped.ms = 2 * HOUR;
  return { broker, publisher, publish, claim, reader, wake };
}

async function read(client: Client, consumerId: string, options: object): Promise<Reader> {
  const consumer = client.createConsumer('group', { consumerId, autoOffset: 'earliest', ...options });
  return new Reader(consumer, await consumer.subscribe(['orders']));
}

describe('a member that was suspended for longer than the timeout of its group', () => {
  it('delivers nothing before it has polled its coordinator, and continues after the messages that others have processed', async () => {
    const { broker, publisher, publish, reader, wake } = await expired('a');
    const other = await read(closing(await connect(broker.addresses as string[], PATIENT)), 'b', OFTEN);
    other.start();
    await eventually('the other member has processed everything', () => other.offsets.length === 10);
    reader.start();
    wake();
    await eventually('it has the partition again', () => reader.consumer.assignments.size === 1);
    await publish(10);
    await eventually('it goes on', () => reader.offsets.length + other.offsets.length >= 20);
    expect(reader.offsets.filter((offset) => offset < 10n)).toEqual([]);
    expect([...new Set([...other.offsets, ...reader.offsets])].map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, offset) => offset),
    );
    await reader.consumer.close();
    await other.consumer.close();
    expect(await publisher.fetchCursor('__group:group', 'orders', 0)).toBe(19n);
  });

  it('ends with CONSUMER_EXISTS when another process uses its id, and that process continues', async () => {
    const { broker, publish, claim, reader, wake } = await expired('same');
    const before = await claim();
    const other = await read(closing(await connect(broker.addresses as string[], PATIENT)), 'same', OFTEN);
    await eventually('the other process has noted that it has the id', async () => (await claim()) > before);
    other.start();
    await eventually('the other member has processed everything', () => other.offsets.length === 10);
    reader.start();
    wake();
    await eventually('the first one has ended', () => reader.error !== null);
    expect(reader.error).toMatchObject({ code: 'CONSUMER_EXISTS' });
    expect(reader.offsets).toEqual([]);
    await reader.consumer.close();
    await publish(5);
    await eventually('the other one goes on', () => other.offsets.length >= 15);
    expect(other.error).toBeNull();
    await other.consumer.close();
  });
});
