import { once } from 'node:events';
import { TestBroker } from 'liftbridge-test-broker';
import { afterEach, describe, expect, it } from 'vitest';
import { type Ack, type Client, type ClientOptions, connect, LiftbridgeError } from '../../src/index.js';
import { PATIENT } from '../support/patient.js';

// Long timeout: a test that reaches it hangs.
const HOUR = 3_600_000;

let broker: TestBroker;
let client: Client;

async function start(brokers: number, options: ClientOptions = {}): Promise<void> {
  broker = await TestBroker.start({ brokers });
  client = await connect(broker.addresses, { ...PATIENT, ...options });
}

afterEach(async () => {
  await client.close({ timeout: 100 });
  await broker.close();
});

const numbers = (count: number) => Array.from({ length: count }, (_, n) => String(n));
const stored = (stream: string, partition = 0) =>
  broker.messages(stream, partition).map(({ value }) => Buffer.from(value ?? []).toString());

describe('a publish stream that breaks', () => {
  it('fails the publishes in flight immediately, with CONNECTION and an unknown outcome, and is opened again', async () => {
    await start(1);
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'warm');
    broker.faults.dropAcks(10);
    const outcomes = Promise.allSettled(numbers(10).map((n) => client.publish('orders', n, { timeout: HOUR })));
    await expect.poll(() => stored('orders').length).toBe(11);
    broker.faults.cutConnections();
    for (const outcome of await outcomes) {
      const expected = { code: 'CONNECTION', outcome: 'unknown', reason: 'lost', stream: 'orders', partition: 0 };
      expect((outcome as PromiseRejectedResult).reason).toMatchObject(expected);
    }
    await expect(client.publish('orders', 'again')).resolves.toMatchObject({ offset: 11n });
  });

  it('retries publishes that cannot be stored twice: with expected offsets on a stream that checks them', async () => {
    await start(1);
    await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });
    await client.publish('ledger', 'warm', { expectedOffset: 0 });
    broker.faults.resetNext('PublishAsync', 'INTERNAL_ERROR');
    const acks = await Promise.all(
      numbers(20).map((n) => client.publish('ledger', n, { expectedOffset: Number(n) + 1 }) as Promise<Ack>),
    );
    expect(acks.map(({ offset }) => Number(offset))).toEqual(numbers(20).map((n) => Number(n) + 1));
    expect(stored('ledger')).toEqual(['warm', ...numbers(20)]);
  });

  it('reports when such a message may be the stored one', async () => {
    await start(1);
    await client.createStream('ledger', 'ledger', { optimisticConcurrencyControl: true });
    broker.faults.dropAcks(1);
    const publish = client.publish('ledger', 'a', { expectedOffset: 0 });
    await expect.poll(() => stored('ledger').length).toBe(1);
    broker.faults.cutConnections();
    await expect(publish).rejects.toMatchObject({
      code: 'INCORRECT_OFFSET',
      message: expect.stringContaining('may be the same message'),
    });
    expect(stored('ledger')).toEqual(['a']);
  });

  it('retries publishes that were certainly not processed: on a refused stream', async () => {
    await start(1);
    await client.createStream('orders', 'orders');
    broker.faults.resetNext('PublishAsync', 'REFUSED_STREAM', 3);
    const acks = await Promise.all(numbers(50).map((n) => client.publish('orders', n)));
    expect(acks).toHaveLength(50);
    expect(stored('orders')).toEqual(numbers(50));
  });

  it('moves to a new connection on GOAWAY without failing any publish', async () => {
    await start(1);
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'warm');
    broker.faults.delayAcks(50);
    const before = numbers(10).map((n) => client.publish('orders', n));
    await expect.poll(() => stored('orders').length).toBe(11);
    broker.faults.goAway();
    const after = numbers(10).map((n) => client.publish('orders', `after-${n}`));
    await broker.clock.advance(100);
    broker.faults.delayAcks(0);
    expect(await Promise.all([...before, ...after])).toHaveLength(20);
    expect(stored('orders')).toEqual(['warm', ...numbers(10), ...numbers(10).map((n) => `after-${n}`)]);
  });

  it('is opened again after an outage longer than any backoff', async () => {
    await start(1, { ackTimeout: 300, retry: { minDelay: 10, maxDelay: 100 } });
    await client.createStream('orders', 'orders');
    await client.publish('orders', 'before', { timeout: 60_000 });
    await broker.stopBroker(0);
    for (let failures = 0; failures < 8; failures++) {
      await client.publish('orders', 'lost').catch((error: LiftbridgeError) => {
        expect(['ACK_TIMEOUT', 'CONNECTION']).toContain(error.code);
      });
    }
    await broker.startBroker(0);
    // A recovering broker accepts a publish before its partition runs, and then loses the message.
    await broker.ready();
    await expect(client.publish('orders', 'after', { timeout: 60_000 })).resolves.toMatchObject({ error: 'ok' });
  });

  it('reports that nothing was sent when no broker was reachable in time', async () => {
    await start(1);
    await client.createStream('orders', 'orders');
    await broker.stopBroker(0);
    await client.publish('orders', 'x', { timeout: 200 }).catch(() => undefined);
    await expect(client.publish('orders', 'y', { timeout: 200 })).rejects.toMatchObject({
      code: 'ACK_TIMEOUT',
      message: expect.stringContaining('Nothing was stored'),
    });
  });
});

describe('a change of the leader', () => {
  it('moves publishes to the new leader, in order', async () => {
    await start(3, { ackTimeout: 60_000 });
    await client.createStream('orders', 'orders', { replicationFactor: 3 });
    const acks: Promise<Ack | null>[] = [];
    for (let round = 0; round < 6; round++) {
      for (const n of numbers(200)) acks.push(client.publish('orders', `${round}:${n}`));
      await broker.moveLeader('orders', 0, round % 3);
      await client.fetchMetadata({ streams: ['orders'] });
    }
    const outcomes = await Promise.allSettled(acks);
    const lost = outcomes.filter(({ status }) => status === 'rejected').length;
    const offsets = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value!.offset] : []));
    expect(offsets).toEqual([...offsets].sort((a, b) => Number(a - b)));
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(lost).toBe(0);
  });

  it('loses no message that is published after the old leader has failed', async () => {
    await start(3, { ackTimeout: 60_000 });
    await client.createStream('orders', 'orders', { replicationFactor: 3 });
    await client.publish('orders', 'warm', { ackPolicy: 'all' });
    const noticed = once(client, 'disconnect');
    await broker.stopBroker(broker.leaderOf('orders'));
    await noticed;
    const acks = await Promise.all(numbers(100).map((n) => client.publish('orders', n)));
    expect(acks.map((ack) => Number(ack?.offset))).toEqual(numbers(100).map((n) => Number(n) + 1));
  });

  it('sends publishes through another broker when the new leader is unreachable', async () => {
    await start(3);
    await client.createStream('orders', 'orders');
    const leader = broker.addresses[broker.leaderOf('orders')]!;
    const resolveBroker = ({ host, port }: { host: string; port: number }) =>
      `${host}:${port}` === leader ? '127.0.0.1:1' : `${host}:${port}`;
    const others = broker.addresses.filter((address) => address !== leader);
    await using apart = await connect(others, { ...PATIENT, resolveBroker });
    const ack = await apart.publish('orders', 'round about');
    expect(ack).toMatchObject({ stream: 'orders', offset: 0n });
    await expect(apart.publish('orders', 'again')).resolves.toMatchObject({ offset: 1n });
  });
});

/** Random numbers that depend only on the seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('a storm of faults', () => {
  const seeds = [1, 2, 3];

  it.each(seeds)(
    'settles every publish exactly once and stores acknowledged messages once, in order (seed %d)',
    async (seed) => {
      await start(3, { ackTimeout: 4_000, maxInFlight: { messages: 64 } });
      const partitions = 3;
      await client.createStream('storm', 'storm', { partitions, replicationFactor: 3 });
      const chance = random(seed);
      const outcomes = new Map<string, number>();
      const acked: { value: string; partition: number; offset: bigint }[] = [];
      const done: Promise<void>[] = [];
      const publish = (value: string, partition: number): void => {
        done.push(
          new Promise((resolve) => {
            client.publishAsync(
              'storm',
              value,
              (error, ack) => {
                outcomes.set(value, (outcomes.get(value) ?? 0) + 1);
                if (ack !== null) acked.push({ value, partition, offset: ack.offset });
                else expect(LiftbridgeError.is(error)).toBe(true);
                resolve();
              },
              { partition, ackPolicy: 'all' },
            );
          }),
        );
      };
      const troubles = [
        () => broker.faults.cutConnections({ broker: Math.floor(chance() * 3) }),
        () => broker.faults.goAway(),
        () => broker.faults.resetNext('PublishAsync', 'INTERNAL_ERROR'),
        () => broker.faults.rejectNext('PublishAsync', 'UNAVAILABLE'),
        () => broker.faults.cutMidFrame('PublishAsync'),
        () => broker.faults.dropAcks(3),
        () => broker.faults.rejectNext('FetchMetadata', 'UNAVAILABLE'),
        () => broker.moveLeader('storm', Math.floor(chance() * partitions), Math.floor(chance() * 3)),
      ];
      let count = 0;
      for (let step = 0; step < 60; step++) {
        for (let n = Math.floor(chance() * 20); n >= 0; n--) publish(`m${count++}`, Math.floor(chance() * partitions));
        if (chance() < 0.4) await troubles[Math.floor(chance() * troubles.length)]!();
        // A random delay varies when faults occur: the checks do not depend on it.
        await new Promise((resolve) => setTimeout(resolve, chance() * 15));
      }
      broker.faults.clear();
      await Promise.all(done);
      expect([outcomes.size, new Set(outcomes.values())]).toEqual([count, new Set([1])]);
      expect(acked.length).toBeGreaterThan(0);
      for (let partition = 0; partition < partitions; partition++) {
        const log = stored('storm', partition);
        expect(new Set(log).size).toBe(log.length);
        const own = acked.filter((entry) => entry.partition === partition);
        for (const { value, offset } of own) expect(log[Number(offset)]).toBe(value);
        const order = own.map(({ value }) => Number(value.slice(1))).sort((a, b) => a - b);
        const inLog = log.map((value) => Number(value.slice(1))).filter((n) => order.includes(n));
        expect(inLog).toEqual(order);
      }
    },
  );
});
