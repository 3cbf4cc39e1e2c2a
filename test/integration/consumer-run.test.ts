import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, connect, type Message } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { PATIENT } from '../support/patient.js';
import { turns } from '../support/turns.js';
import { Bench, LONG_TIMEOUTS, OFTEN } from './consumer-harness.js';

let broker: TestBroker;
let client: Client;

beforeAll(async () => {
  broker = await TestBroker.start({ cursorsPartitions: 3, groups: LONG_TIMEOUTS });
});
afterAll(() => broker.close());
beforeEach(async () => {
  await broker.reset();
  client = await connect(broker.addresses as string[], PATIENT);
  await client.createStream('jobs', 'jobs', { partitions: 4 });
  await client.createStream('dead', 'dead');
  for (let i = 0; i < 20; i++)
    await client.publish('jobs', `job ${i}`, { partition: i % 4, key: `key ${i}`, headers: { trace: `t${i}` } });
});
afterEach(() => client.close());

const FROM_THE_START = { autoOffset: 'earliest' } as const;
const STREAMS = ['jobs'];

describe('consumer.run', () => {
  it('keeps the order of each partition and handles up to `concurrency` messages at the same time', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    const order = new Map<number, bigint[]>();
    let busy = 0;
    let busiest = 0;
    let handled = 0;
    const run = consumer.run(
      async (message) => {
        busiest = Math.max(busiest, ++busy);
        // A random delay varies how handlers overlap: no result depends on its length.
        await sleep(Math.random() * 5);
        order.set(message.partition, [...(order.get(message.partition) ?? []), message.offset]);
        busy--;
        handled++;
      },
      { streams: STREAMS, concurrency: 3 },
    );
    await eventually('all is handled', () => handled === 20);
    await consumer.close();
    await run;
    expect(busiest).toBe(3);
    expect([...order].sort(([a], [b]) => a - b)).toEqual([0, 1, 2, 3].map((id) => [id, [0n, 1n, 2n, 3n, 4n]]));
    expect(await client.fetchCursor('__group:group', 'jobs', 3)).toBe(4n);
  });

  it('handles one message at a time by default', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    let [busy, busiest, handled] = [0, 0, 0];
    await consumer.subscribe(STREAMS);
    const run = consumer.run(async () => {
      busiest = Math.max(busiest, ++busy);
      // Long enough for a second handler to start, if this were possible.
      await turns(10);
      busy--;
      handled++;
    });
    await eventually('all is handled', () => handled === 20);
    await consumer.close();
    await run;
    expect(busiest).toBe(1);
  });

  it('retries a message, passes the attempt number, and continues when the handler succeeds', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    const attempts: number[] = [];
    let handled = 0;
    const run = consumer.run(
      (message, { attempt }) => {
        if (message.text() === 'job 5') attempts.push(attempt);
        if (message.text() === 'job 5' && attempt < 3) throw new Error('not yet');
        handled++;
      },
      { streams: STREAMS, minDelay: 1 },
    );
    await eventually('all is handled', () => handled === 20);
    await consumer.close();
    await run;
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('publishes a message that fails permanently to the dead-letter stream, with its origin and the error', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    let handled = 0;
    const run = consumer.run(
      (message) => {
        if (message.text() === 'job 6') throw new TypeError('no such customer');
        handled++;
      },
      { streams: STREAMS, retries: 2, minDelay: 1, deadLetter: 'dead' },
    );
    await eventually('the others are handled', () => handled === 19);
    await eventually('the letter is there', () => broker.messages('dead').length === 1);
    await consumer.close();
    await run;
    const subscription = await client.subscribe('dead', { startAt: 'earliest', stopAt: 'latest' });
    const letters: Message[] = [];
    for await (const message of subscription) letters.push(message);
    expect(letters.map((letter) => [letter.text(), String(letter.key)])).toEqual([['job 6', 'key 6']]);
    const headers = Object.entries(letters[0]!.headers).map(([name, value]) => [name, String(value)]);
    expect(Object.fromEntries(headers)).toMatchObject({
      trace: 't6',
      'dead-letter-stream': 'jobs',
      'dead-letter-partition': '2',
      'dead-letter-offset': '1',
      'dead-letter-key': 'key 6',
      'dead-letter-group': 'group',
      'dead-letter-error': 'TypeError: no such customer',
      'dead-letter-attempts': '3',
    });
    expect(await client.fetchCursor('__group:group', 'jobs', 2)).toBe(4n);
  });

  it('ends with HANDLER_FAILED without a dead-letter stream, leaves the group, and does not count the message as processed', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    const run = consumer.run(
      (message) => {
        if (message.text() === 'job 6') throw new Error('no such customer');
      },
      { streams: STREAMS, retries: 1, minDelay: 1 },
    );
    await expect(run).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      stream: 'jobs',
      partition: 2,
      cause: { message: 'no such customer' },
    });
    expect(await client.fetchCursor('__group:group', 'jobs', 2)).toBe(0n);
    expect((await client.fetchMetadata({ streams: ['jobs'], groups: ['group'] })).groups.size).toBe(0);
  });

  it('ends with HANDLER_FAILED when the dead letter cannot be published', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    const run = consumer.run(
      () => {
        throw new Error('never');
      },
      { streams: STREAMS, retries: 0, deadLetter: 'no-such-stream' },
    );
    const failure = await run.catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'HANDLER_FAILED' });
    const { errors } = (failure as { cause: AggregateError }).cause;
    expect(errors).toMatchObject([{ message: 'never' }, { name: expect.stringMatching(/NoSuch/) }]);
  });

  it('waits for the handlers when it is closed, and counts their messages as processed', async () => {
    const consumer = client.createConsumer('group', FROM_THE_START);
    let [begun, done, closed] = [0, 0, false];
    const gate = deferred<void>();
    const run = consumer.run(
      async () => {
        begun++;
        await gate.promise;
        done++;
      },
      { streams: STREAMS, concurrency: 4 },
    );
    await eventually('four handlers run', () => begun === 4);
    const closing = consumer.close().then(() => {
      closed = true;
    });
    await turns();
    expect(closed).toBe(false);
    gate.resolve();
    await closing;
    await run;
    expect([begun, done]).toEqual([4, 4]);
    const cursors = await Promise.all([0, 1, 2, 3].map((id) => client.fetchCursor('__group:group', 'jobs', id)));
    expect(cursors).toEqual([0n, 0n, 0n, 0n]);
  });

  it('aborts the signal of a handler that takes longer than revokeTimeout, and then ends', async () => {
    const consumer = client.createConsumer('group', { ...FROM_THE_START, revokeTimeout: 100 });
    let [begun, told] = [false, false];
    const run = consumer.run(
      (_message, { signal }) =>
        new Promise<void>((resolve) => {
          begun = true;
          signal.addEventListener('abort', () => {
            told = true;
            resolve();
          });
        }),
      { streams: STREAMS },
    );
    await eventually('a handler runs', () => begun);
    await consumer.close();
    await run;
    expect(told).toBe(true);
  });

  it('rejects with the reason of its signal', async () => {
    const stop = new AbortController();
    const consumer = client.createConsumer('group', FROM_THE_START);
    const run = consumer.run(() => stop.abort('enough'), { streams: STREAMS, signal: stop.signal });
    await expect(run).rejects.toBe('enough');
  });

  it.each([
    [{ concurrency: 0 }, /concurrency/],
    [{ retries: -1 }, /retries/],
    [{ deadLetter: '' }, /deadLetter/],
    [{ streams: [] }, /streams/],
    [{ deadletter: 'x' }, /unknown option deadletter/],
    [{}, /streams/],
  ])('rejects %j and names the option', async (options, text) => {
    const run = client.createConsumer('group').run(() => undefined, options as object);
    await expect(run).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(text) });
  });
});

async function processMore(bench: Bench): Promise<void> {
  const { size } = bench.processed;
  await eventually('the group goes on', () => bench.processed.size > size + 50);
}

describe('consumer.run under load', () => {
  it('handles every message once and in order while members join and leave and some handlers fail first', async () => {
    await using bench = await Bench.start({}, { clicks: 5, orders: 3 });
    bench.load(2);
    const latest = new Map<string, bigint>();
    const disorder: string[] = [];
    const handle = async (message: Message, { attempt }: { attempt: number }): Promise<void> => {
      // A random delay varies how handlers overlap.
      await sleep(Math.random() * 3);
      if (attempt === 1 && message.offset % 10n === 7n) throw new Error('at first');
      const place = `${message.stream}/${message.partition}`;
      if (message.offset !== (latest.get(place) ?? -1n) + 1n) disorder.push(`${place} ${message.offset}`);
      latest.set(place, message.offset);
      bench.note(message);
    };
    const members = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (consumerId) => {
        const member = await connect(bench.broker.addresses as string[], PATIENT);
        const consumer = member.createConsumer('group', {
          consumerId,
          autoOffset: 'earliest',
          ...OFTEN,
        });
        return { member, consumer };
      }),
    );
    const runs: Promise<void>[] = [];
    for (const { consumer } of members) {
      runs.push(consumer.run(handle, { streams: bench.streams, concurrency: 4, minDelay: 1 }));
      await processMore(bench);
    }
    await members[0]!.consumer.close();
    await processMore(bench);
    await members[2]!.consumer.close();
    await bench.settle();
    await Promise.all(members.map(({ member }) => member.close()));
    await Promise.all(runs);
    expect(bench.repeated).toEqual([]);
    expect(disorder).toEqual([]);
  });
});
