import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as modern from '@nats-io/transport-node';
import * as classic from 'nats';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { outputOf } from '../../../test/support/child-process.js';
import { closing } from '../../../test/support/closing.js';
import { NatsListener } from '../../src/nats/listener.js';
import { MemoryBus } from '../../src/nats/memory-bus.js';

const HAS_NATS_PY = spawnSync('python3', ['-c', 'import nats']).status === 0;

let bus: MemoryBus;
let listener: NatsListener;

beforeEach(async () => {
  bus = new MemoryBus();
  listener = await NatsListener.start({ bus, port: 0, host: '127.0.0.1' });
});

afterEach(() => listener.close());

// The two packages have the same API for these tests, but different types.
const packages = [
  {
    name: 'nats 2',
    connect: classic.connect as unknown as typeof modern.connect,
    headers: classic.headers as unknown as typeof modern.headers,
  },
  { name: '@nats-io/transport-node 3', connect: modern.connect, headers: modern.headers },
];

describe.each(packages)('NatsListener with $name', ({ connect, headers }) => {
  let client: modern.NatsConnection;
  let other: modern.NatsConnection;

  beforeEach(async () => {
    client = await connect({ servers: listener.url, name: 'client' });
    other = await connect({ servers: listener.url, name: 'other' });
  });

  afterEach(async () => {
    await client.close();
    await other.close();
  });

  /** Reads this many messages of a subscription and ends it. */
  async function take(subscription: modern.Subscription, count: number): Promise<string[]> {
    const texts: string[] = [];
    for await (const message of subscription) {
      texts.push(`${message.subject}=${message.string()}`);
      if (texts.length === count) break;
    }
    return texts;
  }

  test('publishes and subscribes, in order, to literals and wildcards', async () => {
    const literal = take(client.subscribe('foo.a'), 2);
    const star = take(client.subscribe('*.a'), 2);
    const rest = take(client.subscribe('foo.>'), 3);
    await client.flush();
    other.publish('foo.a', '1');
    other.publish('foo.b.c', '2');
    other.publish('foo.a', '3');
    expect(await literal).toEqual(['foo.a=1', 'foo.a=3']);
    expect(await star).toEqual(['foo.a=1', 'foo.a=3']);
    expect(await rest).toEqual(['foo.a=1', 'foo.b.c=2', 'foo.a=3']);
  });

  test('carries ten thousand messages in order', async () => {
    const received = take(client.subscribe('many'), 10_000);
    await client.flush();
    for (let number = 0; number < 10_000; number++) other.publish('many', String(number));
    expect(await received).toEqual(Array.from({ length: 10_000 }, (_, number) => `many=${number}`));
  });

  test('gives each message to one member of a queue group', async () => {
    const counts = [0, 0];
    const count = (member: number) => () => {
      counts[member] = (counts[member] ?? 0) + 1;
    };
    client.subscribe('jobs', { queue: 'q', callback: count(0) });
    other.subscribe('jobs', { queue: 'q', callback: count(1) });
    await Promise.all([client.flush(), other.flush()]);
    for (let job = 0; job < 200; job++) client.publish('jobs');
    await Promise.all([client.flush(), other.flush()]);
    await Promise.all([client.flush(), other.flush()]);
    expect(counts.reduce((sum, each) => sum + each)).toBe(200);
    expect(Math.min(...counts)).toBeGreaterThan(30);
  });

  test('supports request and reply, also with a broker on the bus', async () => {
    other.subscribe('service', {
      callback: (_error, message) => {
        message.respond(`re:${message.string()}`);
      },
    });
    bus.subscribe('broker', ({ reply, data }) => bus.publish(reply, Buffer.from(`broker:${data}`)));
    await other.flush();
    expect((await client.request('service', '1')).string()).toBe('re:1');
    expect((await client.request('broker', '2')).string()).toBe('broker:2');
  });

  test('carries headers', async () => {
    const received = (async () => {
      for await (const message of client.subscribe('with.headers')) return message;
      throw new Error('expected a message');
    })();
    await client.flush();
    const given = headers();
    given.append('Color', 'red');
    given.append('Color', 'blue');
    other.publish('with.headers', 'v', { headers: given });
    const message = await received;
    expect(message.headers?.values('Color')).toEqual(['red', 'blue']);
    expect(message.string()).toBe('v');
  });

  test('rejects a request without a subscriber at once', async () => {
    const failed = client.request('without.subscriber', '', { timeout: 60_000 });
    await expect(failed).rejects.toThrow(/503|no responders/i);
  });

  test('ends a subscription after its maximum of messages', async () => {
    const subscription = client.subscribe('few', { max: 2 });
    await client.flush();
    for (const value of '1234') other.publish('few', value);
    const texts: string[] = [];
    for await (const message of subscription) texts.push(message.string());
    expect(texts).toEqual(['1', '2']);
    await other.flush();
    expect(bus.publishMessage({ subject: 'few', reply: '', data: Buffer.alloc(0) })).toBe(false);
  });

  test('drains: pending messages arrive, then the connection closes', async () => {
    const texts: string[] = [];
    client.subscribe('last', {
      callback: (_error, message) => {
        texts.push(message.string());
      },
    });
    await client.flush();
    for (const value of '123') bus.publish('last', Buffer.from(value));
    await client.drain();
    expect(texts).toEqual(['1', '2', '3']);
    expect(client.isClosed()).toBe(true);
  });

  test('knows the maximum payload and rejects a larger one', async () => {
    expect(client.info?.max_payload).toBe(1_048_576);
    const arrived = take(other.subscribe('big'), 1);
    await other.flush();
    expect(() => client.publish('big', new Uint8Array(1_048_577))).toThrow(/payload/i);
    client.publish('big', 'x'.repeat(1_048_576));
    expect((await arrived)[0]?.length).toBe('big='.length + 1_048_576);
  });

  test('does not receive its own messages with noEcho', async () => {
    const silent = closing(await connect({ servers: listener.url, noEcho: true }));
    const heard: string[] = [];
    silent.subscribe('loud', {
      callback: (_error, message) => {
        heard.push(message.string());
      },
    });
    await silent.flush();
    silent.publish('loud', 'own');
    await silent.flush();
    other.publish('loud', 'other');
    await other.flush();
    await silent.flush();
    expect(heard).toEqual(['other']);
  });

  test('reconnects with its subscriptions when the listener has restarted', async () => {
    const again = closing(await connect({ servers: listener.url, reconnectTimeWait: 20 }));
    const received = take(again.subscribe('foo'), 1);
    await again.flush();
    await listener.close();
    listener = await NatsListener.start({ bus, port: listener.port, host: '127.0.0.1' });
    for await (const status of again.status()) if (status.type === 'reconnect') break;
    await again.flush();
    bus.publish('foo', Buffer.from('v'));
    expect(await received).toEqual(['foo=v']);
  });
});

describe.skipIf(!HAS_NATS_PY)('NatsListener with nats-py (skipped where Python has no nats package)', () => {
  test('supports every operation of its script', async () => {
    bus.subscribe('broker.service', ({ reply, data }) => bus.publish(reply, Buffer.from(`broker:${data}`)));
    const script = fileURLToPath(new URL('./nats_py_client.py', import.meta.url));
    const output = await outputOf('python3', [script, listener.url]);
    expect(JSON.parse(output)).toEqual({
      max_payload: 1_048_576,
      literal: 'one',
      star: 'one',
      rest: ['py.a.b', 'one', { Color: 'red', Size: '9' }],
      replies: Array.from({ length: 20 }, (_, number) => `re:${number}`),
      unanswered: 'no responders',
      big: 'max payload',
      limited: ['0', '1'],
      broker: 'broker:ping',
    });
  });
});
