import { natsPublisher } from 'liftbridge-client/nats';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeConnection } from './fake-connection.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let connection: FakeConnection;
beforeEach(() => {
  connection = new FakeConnection();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const codes = async (outcomes: readonly Promise<unknown>[]): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const error of await Promise.all(outcomes)) {
    const code = error === null ? 'ok' : String((error as { code: string }).code);
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
};
const sent = (): string[] => connection.published.map(({ message }) => message.text());
const elapse = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe('a broker that does not respond', () => {
  it('gets no more than maxInFlight, and the publishes that wait time out as not sent', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 10 } });
    const outcomes: Promise<unknown>[] = [];
    for (let n = 0; n < 50; n++) {
      outcomes.push(failure(publisher.publish('s', String(n))));
      await elapse(1);
    }
    await elapse(2_000);
    expect(await codes(outcomes)).toEqual({ ACK_TIMEOUT: 10, TIMEOUT: 40 });
    expect(sent()).toHaveLength(10);
    expect(await outcomes[49]).toMatchObject({
      retryable: true,
      message: expect.stringContaining('it was not sent, earlier publishes to its subject were not acknowledged'),
    });
  });

  it('gets one probe every 100 ms, however many publishes come', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 10 } });
    const outcomes: Promise<unknown>[] = [];
    for (let n = 0; n < 100; n++) {
      for (let each = 0; each < 5; each++) outcomes.push(failure(publisher.publish('s', `${n}`)));
      await elapse(100);
    }
    // Silent from 1 s to 10 s.
    expect(sent().length).toBeGreaterThan(10 + 80);
    expect(sent().length).toBeLessThanOrEqual(10 + 92);
    await elapse(1_000);
    const counts = await codes(outcomes);
    expect(counts).toEqual({ ACK_TIMEOUT: sent().length, TIMEOUT: 500 - sent().length });
  });

  it('gets the rest in order as soon as an ack comes, even a late one', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 2 } });
    const outcomes = ['a', 'b'].map((value) => failure(publisher.publish('s', value)));
    await elapse(900);
    for (const value of ['c', 'd', 'e']) outcomes.push(failure(publisher.publish('s', value)));
    await elapse(100);
    // The first is to find out whether there is an answer again.
    expect(sent()).toEqual(['a', 'b', 'c']);
    connection.acknowledge(0, { messageSubject: 's' });
    expect(sent()).toEqual(['a', 'b', 'c', 'd']);
    connection.acknowledge(2);
    outcomes.push(failure(publisher.publish('s', 'f')));
    connection.acknowledge(3);
    expect(sent()).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    connection.acknowledge(4);
    connection.acknowledge(5);
    expect(await codes(outcomes)).toEqual({ ACK_TIMEOUT: 2, ok: 4 });
  });

  it('holds back only the publishes to its own subject', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 2 } });
    const silent = [0, 1, 2, 3].map((n) => failure(publisher.publish('silent', `silent ${n}`)));
    const late = publisher.publish('s', 'v', { timeout: 5_000 });
    await elapse(1_000);
    expect(sent()).toEqual(['silent 0', 'silent 1', 'v']);
    connection.acknowledge(2);
    expect(await late).toHaveLength(1);
    expect(await codes(silent)).toEqual({ ACK_TIMEOUT: 2, TIMEOUT: 2 });
  });

  it('gets a publish at once when no other is in flight and there is time', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000 });
    for (const value of ['a', 'b', 'c']) {
      const outcome = failure(publisher.publish('s', value));
      await elapse(1_000);
      expect(await outcome).toMatchObject({ code: 'ACK_TIMEOUT' });
    }
    expect(sent()).toEqual(['a', 'b', 'c']);
  });

  it('is no longer silent after a reconnect', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 10 } });
    void failure(publisher.publish('s', 'a'));
    await elapse(1_000);
    const outcomes = ['b', 'c', 'd'].map((value) => failure(publisher.publish('s', value)));
    expect(sent()).toEqual(['a', 'b']);
    connection.report({ type: 'disconnect' });
    await elapse(1);
    expect(await outcomes[0]).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    connection.report({ type: 'reconnect' });
    await elapse(1);
    expect(sent()).toEqual(['a', 'b', 'c', 'd']);
    for (const index of [2, 3]) connection.acknowledge(index);
    expect(await codes(outcomes)).toEqual({ CONNECTION: 1, ok: 2 });
  });

  it("does not delay publishes with ackPolicy 'none', which the NATS server confirms", async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000 });
    const lost = failure(publisher.publish('s', 'a'));
    await elapse(1_000);
    expect(await lost).toMatchObject({ code: 'ACK_TIMEOUT' });
    const options = { ackPolicy: 'none' } as const;
    const outcomes = ['b', 'c', 'd'].map((value) => failure(publisher.publish('s', value, options)));
    await elapse(1);
    expect(await codes(outcomes)).toEqual({ ok: 3 });
  });

  it('has its held publishes settled when the connection is closed', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000 });
    const outcomes = ['a', 'b'].map((value) => failure(publisher.publish('s', value)));
    await elapse(1_000);
    for (const value of ['c', 'd', 'e']) outcomes.push(failure(publisher.publish('s', value)));
    connection.end();
    await elapse(0);
    expect(await codes(outcomes)).toEqual({ ACK_TIMEOUT: 2, CONNECTION: 3 });
    expect(await Promise.all(outcomes.slice(2))).toMatchObject([
      { outcome: 'unknown' },
      { outcome: 'not-sent' },
      { outcome: 'not-sent' },
    ]);
    await publisher.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a NATS server that does not confirm publishes', () => {
  it('gets no more than maxInFlight', async () => {
    connection.onFlush = () => new Promise(() => undefined);
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 10 } });
    const options = { ackPolicy: 'none' } as const;
    const outcomes = Array.from({ length: 50 }, (_, n) => failure(publisher.publish('s', String(n), options)));
    await elapse(2_000);
    expect(await codes(outcomes)).toEqual({ TIMEOUT: 50 });
    expect(sent()).toHaveLength(10);
  });
});

describe('a publish that need not wait', () => {
  it('is sent even with little time left', async () => {
    const publisher = natsPublisher(connection);
    const outcome = failure(publisher.publish('s', 'v', { timeout: 0 }));
    expect(sent()).toEqual(['v']);
    await elapse(1);
    expect(await outcome).toMatchObject({ code: 'ACK_TIMEOUT' });
  });
});

describe('a slow broker', () => {
  it('does not get publishes that it could not acknowledge in time, which time out as not sent', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 1 } });
    const outcomes = ['a', 'b', 'c'].map((value) => failure(publisher.publish('s', value)));
    const patient = failure(publisher.publish('s', 'd', { timeout: 5_000 }));
    for (const index of [0, 1]) {
      await elapse(400);
      connection.acknowledge(index);
    }
    // 200 of 1,000 ms are left for the third, and an answer takes 400; the one behind it has more.
    expect(sent()).toEqual(['a', 'b', 'd']);
    connection.acknowledge(2);
    await elapse(1_000);
    expect(await codes([...outcomes, patient])).toEqual({ ok: 3, TIMEOUT: 1 });
    expect(await outcomes[2]).toHaveProperty('message', expect.stringContaining('too little of its timeout was left'));
  });

  it('is not measured by the gap before its return', async () => {
    const publisher = natsPublisher(connection, { timeout: 1_000, maxInFlight: { messages: 20 } });
    const outcomes = [failure(publisher.publish('s', 'first'))];
    await elapse(2);
    connection.acknowledge(0);
    for (let n = 0; n < 30; n++) outcomes.push(failure(publisher.publish('s', String(n))));
    // Nothing for 800 ms, then everything: the 200 ms that are left are enough for the rest.
    await elapse(800);
    for (let index = 1; index <= 30; index++) connection.acknowledge(index);
    expect(await codes(outcomes)).toEqual({ ok: 31 });
  });
});
