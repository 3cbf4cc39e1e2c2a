import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Client, connect, type Message } from '../../src/index.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const clock = vi.hoisted(() => ({ ahead: 0, listeners: new Set<(stoodStill: number) => void>() }));

vi.mock('../../src/async/clock.js', async (original) => {
  const { monotonicNow, wallNow } = await original<typeof import('../../src/async/clock.js')>();
  return { monotonicNow: () => monotonicNow() + clock.ahead, wallNow: () => wallNow() + clock.ahead };
});

vi.mock('../../src/async/ticker.js', () => ({
  TICK_MS: 2_000,
  onTick: (listener: (stoodStill: number) => void) => {
    clock.listeners.add(listener);
    return () => clock.listeners.delete(listener);
  },
}));

function tick(stoodStill = 0): void {
  for (const listener of [...clock.listeners]) listener(stoodStill);
}

/** Timeouts that only a hang reaches. */
const PATIENT = { timeout: 30_000 };
const LONG_MS = 60_000;

let broker: TestBroker;
let proxy: TcpProxy;
let client: Client;

beforeEach(async () => {
  clock.ahead = 0;
  broker = await TestBroker.start();
  proxy = await TcpProxy.start(broker.addresses[0]!);
  client = await connect(proxy.address, { resolveBroker: () => proxy.address, ackTimeout: LONG_MS });
  await client.createStream('foo', 'foo');
});

afterEach(async () => {
  await client.close({ timeout: 100 });
  await proxy.close();
  await broker.close();
});

/** Fifteen seconds pass for the client without data, and the proxy drops its connections silently. */
function idle(): void {
  tick();
  proxy.forget();
  clock.ahead += 15_000;
}

describe('connections that a proxy dropped silently while they were idle', () => {
  it('delay the first publish without an error', async () => {
    await client.publish('foo', 'before');
    idle();
    const acks = await Promise.all(['a', 'b', 'c'].map((value) => client.publish('foo', value)));
    expect(acks.map((ack) => ack?.offset)).toEqual([1n, 2n, 3n]);
    expect(broker.messages('foo').map(({ value }) => String(value))).toEqual(['before', 'a', 'b', 'c']);
  });

  it('delay the first call without an error', async () => {
    idle();
    expect((await client.fetchPartitionMetadata('foo', 0)).newestOffset).toBe(-1n);
    expect(await client.ping()).toBeGreaterThan(0);
  });

  it('delay a call that must not be retried, without an error', async () => {
    idle();
    expect(await client.publishToSubject('foo', 'once')).toMatchObject({ offset: 0n });
    expect(broker.messages('foo')).toHaveLength(1);
  });

  it('are detected by a subscription when the client makes any other call', async () => {
    const read: string[] = [];
    const subscription = await client.subscribe('foo', { startAt: 'earliest' });
    const reading = (async () => {
      for await (const message of subscription as AsyncIterable<Message>) {
        read.push(String(message.value));
        if (read.length === 2) return;
      }
    })();
    await client.publish('foo', 'before');
    await expect.poll(() => read, PATIENT).toEqual(['before']);
    idle();
    await client.publish('foo', 'after');
    await reading;
    expect(read).toEqual(['before', 'after']);
  });
});

describe('a process that resumes', () => {
  it('checks its connections on its own, and its subscriptions continue', async () => {
    const read: string[] = [];
    const subscription = await client.subscribe('foo', { startAt: 'earliest' });
    const reading = (async () => {
      for await (const message of subscription as AsyncIterable<Message>) {
        read.push(String(message.value));
        return;
      }
    })();
    await using other = await connect(broker.addresses);
    idle();
    // The test makes no other call.
    tick(15_000);
    await other.publish('foo', 'meanwhile');
    await reading;
    expect(read).toEqual(['meanwhile']);
    await expect.poll(() => proxy.forgotten, PATIENT).toBe(0);
  });
});
