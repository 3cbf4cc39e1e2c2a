import { getEventListeners } from 'node:events';
import {
  AckTimeoutError,
  ClosedError,
  ConnectionError,
  EncryptionError,
  IncorrectOffsetError,
  InvalidArgumentError,
  MessageTooLargeError,
  natsPublisher,
  PermissionDeniedError,
  TimeoutError,
} from 'liftbridge-client/nats';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeConnection } from './fake-connection.js';

vi.mock('../../../src/async/timers.js', () => import('../../support/global-timers.js'));
vi.mock('../../../src/async/clock.js', () => import('../../support/global-timers.js'));

let connection: FakeConnection;
beforeEach(() => {
  connection = new FakeConnection();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets promises run that need no timer. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe('publish', () => {
  it('resolves with the ack that carries its correlation id, in any order of the acks', async () => {
    const publisher = natsPublisher(connection);
    const publishes = ['a', 'b', 'c'].map((value) => publisher.publish('s', value));
    for (const index of [2, 0, 1]) connection.acknowledge(index);
    const acks = (await Promise.all(publishes)).flat();
    expect(acks.map((ack) => ack.offset)).toEqual([0n, 1n, 2n]);
    expect(connection.subscriptions.size).toBe(1);
  });

  it('sends key, headers, policy and expected offset in the order of the calls, before it returns', () => {
    const publisher = natsPublisher(connection);
    const options = { key: 'k', headers: { h: 'v' }, ackPolicy: 'all', expectedOffset: 4 } as const;
    void failure(publisher.publish('s.1', 'first', options));
    void failure(publisher.publish('s.2', 'second', { correlationId: 'mine' }));
    const [first, second] = connection.published;
    expect([first?.subject, second?.subject]).toEqual(['s.1', 's.2']);
    expect(first?.message).toMatchObject({ key: Buffer.from('k'), ackPolicy: 'all', offset: 4n });
    expect(first?.message.headers.h?.toString()).toBe('v');
    expect(second?.message.correlationId).toBe('mine');
    connection.end();
  });

  it('waits for the number of acks that was asked for, and returns them in the order of arrival', async () => {
    const publisher = natsPublisher(connection);
    const publish = publisher.publish('s', 'v', { acks: 2 });
    connection.acknowledge(0, { stream: 'b' });
    connection.acknowledge(0, { stream: 'a' });
    expect((await publish).map((ack) => ack.stream)).toEqual(['b', 'a']);
  });

  it('counts each stream once, even if it sends several acks', async () => {
    const publisher = natsPublisher(connection);
    const publish = publisher.publish('s', 'v', { acks: 2 });
    connection.acknowledge(0, { stream: 'a' });
    connection.acknowledge(0, { stream: 'a' });
    // A leader that was frozen and the one that took over may both store it.
    connection.acknowledge(0, { stream: 'a', offset: 7n });
    connection.acknowledge(0, { stream: 'b' });
    expect(await publish).toMatchObject([{ stream: 'a', offset: 0n }, { stream: 'b' }]);
  });

  it('distinguishes streams of the same name by their subjects', async () => {
    const publisher = natsPublisher(connection);
    const publish = publisher.publish('s', 'v', { acks: 2 });
    connection.acknowledge(0, { stream: 'a', partitionSubject: 's' });
    connection.acknowledge(0, { stream: 'a', partitionSubject: '*' });
    expect(await publish).toHaveLength(2);
  });

  it.each([
    ['last', ['ok', 'incorrect-offset']],
    ['first', ['incorrect-offset', 'ok']],
  ] as const)(
    'when one stream refuses it %s, rejects with the acks of the others on the error',
    async (_when, errors) => {
      const publisher = natsPublisher(connection);
      const publish = failure(publisher.publish('s', 'v', { acks: 2 }));
      for (const error of errors) connection.acknowledge(0, { stream: error === 'ok' ? 'a' : 'b', error });
      const error = await publish;
      expect(error).toBeInstanceOf(IncorrectOffsetError);
      expect(error).toMatchObject({ stream: 'b', retryable: false, otherAcks: [{ stream: 'a', error: 'ok' }] });
    },
  );

  it('rejects with the refusal when acks of other streams are missing at the timeout', async () => {
    const publisher = natsPublisher(connection);
    const publish = failure(publisher.publish('s', 'v', { acks: 3, timeout: 20 }));
    connection.acknowledge(0, { stream: 'a' });
    connection.acknowledge(0, { stream: 'b', error: 'too-large' });
    expect(await publish).toBeInstanceOf(MessageTooLargeError);
    expect(await publish).toMatchObject({ stream: 'b', otherAcks: [{ stream: 'a' }] });
  });

  it('names the reasons why a broker sends no ack', async () => {
    const error = await failure(natsPublisher(connection).publish('s', 'v', { timeout: 1 }));
    expect(error).toMatchObject({
      code: 'ACK_TIMEOUT',
      message: expect.stringContaining('A paused or readonly partition'),
    });
  });

  it('rejects with ACK_TIMEOUT and the acks that came', async () => {
    const publisher = natsPublisher(connection);
    const publish = failure(publisher.publish('s', 'v', { acks: 3, timeout: 20 }));
    connection.acknowledge(0, { stream: 'a' });
    connection.acknowledge(0, { stream: 'b' });
    const error = await publish;
    expect(error).toBeInstanceOf(AckTimeoutError);
    expect((error as AckTimeoutError).otherAcks).toMatchObject([{ stream: 'a' }, { stream: 'b' }]);
    expect((error as AckTimeoutError).message).toContain('2 of 3 acks came');
  });

  it.each([
    ['incorrect-offset', IncorrectOffsetError],
    ['too-large', MessageTooLargeError],
    ['encryption', EncryptionError],
  ] as const)('rejects with the typed error of an ack that says %s', async (error, type) => {
    const publisher = natsPublisher(connection);
    const publish = failure(publisher.publish('s', 'v'));
    connection.acknowledge(0, { stream: 'a', error });
    expect(await publish).toBeInstanceOf(type);
    expect(await publish).toMatchObject({ stream: 'a' });
  });

  it("with ackPolicy 'none' resolves with no acks once the server has the message, with one flush for all publishes of a tick", async () => {
    const publisher = natsPublisher(connection);
    const publishes = [1, 2, 3].map((n) => publisher.publish('s', `${n}`, { ackPolicy: 'none' }));
    expect(await Promise.all(publishes)).toEqual([[], [], []]);
    expect(connection.flushes).toBe(1);
    expect(connection.published[0]?.message.ackInbox).toBe('');
  });

  it('with an ackInbox of its own resolves once the server has the message, and leaves the acks to that inbox', async () => {
    const publisher = natsPublisher(connection);
    expect(await publisher.publish('s', 'v', { ackInbox: 'audit.acks', correlationId: '7' })).toEqual([]);
    expect(connection.published[0]?.message).toMatchObject({ ackInbox: 'audit.acks', correlationId: '7' });
  });

  it('rejects with the reason of its signal, before and while it waits, and removes its listener', async () => {
    const publisher = natsPublisher(connection);
    const controller = new AbortController();
    const publish = failure(publisher.publish('s', 'v', { signal: controller.signal }));
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort('enough');
    expect(await publish).toBe('enough');
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(await failure(publisher.publish('s', 'v', { signal: controller.signal }))).toBe('enough');
    expect(connection.published).toHaveLength(1);
  });

  it.each(['', 'a b', 'a..b', '.a', 'a.', 'a.*', 'a.>', 'a\r\nPUB b 0', 'x'.repeat(4001)])(
    'refuses the subject %j by name',
    async (subject) => {
      const error = await failure(natsPublisher(connection).publish(subject, 'v'));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect((error as Error).message).toContain('subject');
      expect(connection.published).toHaveLength(0);
    },
  );

  it('refuses an envelope above the max_payload of the server by name, before it is sent', async () => {
    connection.info = { max_payload: 1000 };
    const publisher = natsPublisher(connection);
    const error = await failure(publisher.publish('s', Buffer.alloc(1000)));
    expect(error).toBeInstanceOf(MessageTooLargeError);
    expect((error as Error).message).toContain('max_payload of the NATS server is 1000');
    expect(connection.published).toHaveLength(0);
    void failure(publisher.publish('s', Buffer.alloc(500)));
    expect(connection.published).toHaveLength(1);
    connection.end();
  });

  it.each([
    [{ acks: 0 }, 'acks'],
    [{ acks: 1_001 }, 'acks'],
    [{ acks: 2, ackPolicy: 'none' }, 'acks contradicts'],
    [{ acks: 2, ackInbox: 'x' }, 'acks contradicts'],
    [{ timeout: -1 }, 'timeout'],
    [{ ackInbox: 'a b' }, 'ackInbox'],
    [{ retries: 3 }, 'retries'],
  ])('refuses the options %j by name', async (options, name) => {
    const error = await failure(natsPublisher(connection).publish('s', 'v', options as object));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).message).toContain(name);
  });

  it('refuses a correlation id that is in flight, and accepts it again afterwards', async () => {
    const publisher = natsPublisher(connection);
    const first = publisher.publish('s', 'v', { correlationId: 'x' });
    expect(await failure(publisher.publish('s', 'v', { correlationId: 'x' }))).toBeInstanceOf(InvalidArgumentError);
    connection.acknowledge(0);
    await first;
    const second = publisher.publish('s', 'v', { correlationId: 'x' });
    connection.acknowledge(1);
    expect(await second).toHaveLength(1);
  });

  it('logs late acks and messages that are no acks, and continues', async () => {
    const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
    const publisher = natsPublisher(connection, { logger });
    const publish = publisher.publish('s', 'v');
    connection.deliver(Buffer.from('hello'));
    connection.acknowledge(0);
    connection.acknowledge(0);
    expect(await publish).toHaveLength(1);
    expect(logger.warn).toHaveBeenCalledOnce();
    expect(logger.debug).toHaveBeenCalledOnce();
  });
});

describe('maxInFlight', () => {
  it('makes publishes beyond it wait, in order', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 2 } });
    const publishes = ['a', 'b', 'c', 'd'].map((value) => publisher.publish('s', value));
    const sent = () => connection.published.map(({ message }) => message.text()).join('');
    expect(sent()).toBe('ab');
    connection.acknowledge(1);
    expect(sent()).toBe('abc');
    connection.acknowledge(0);
    expect(sent()).toBe('abcd');
    connection.acknowledge(2);
    connection.acknowledge(3);
    expect(await Promise.all(publishes)).toHaveLength(4);
  });

  it('counts bytes, and sends a message above the limit alone', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { bytes: 1000 } });
    const publishes = [2000, 10, 2000].map((size) => publisher.publish('s', Buffer.alloc(size)));
    for (const index of [0, 1, 2]) {
      expect(connection.published).toHaveLength(index + 1);
      connection.acknowledge(index);
    }
    expect(await Promise.all(publishes)).toHaveLength(3);
  });

  it('never sends a publish that was aborted or timed out while it waited', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 1 } });
    const controller = new AbortController();
    const first = publisher.publish('s', 'a');
    const aborted = failure(publisher.publish('s', 'b', { signal: controller.signal }));
    const late = failure(publisher.publish('s', 'c', { timeout: 10 }));
    const last = publisher.publish('s', 'd');
    controller.abort('enough');
    expect(await aborted).toBe('enough');
    expect(await late).toBeInstanceOf(TimeoutError);
    expect((await late) as Error).toHaveProperty('message', expect.stringContaining('not sent'));
    connection.acknowledge(0);
    connection.acknowledge(1);
    await Promise.all([first, last]);
    expect(connection.published.map(({ message }) => message.text())).toEqual(['a', 'd']);
  });

  it('stays in order over many thousand publishes that wait, settle and are aborted', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 10 } });
    const controller = new AbortController();
    const outcomes: Promise<unknown>[] = [];
    for (let n = 0; n < 6_000; n++) {
      const signal = n % 3 === 2 ? controller.signal : undefined;
      outcomes.push(failure(publisher.publish('s', String(n), { signal })));
    }
    controller.abort('enough');
    for (let index = 0; index < connection.published.length; index++) connection.acknowledge(index);
    const settled = await Promise.all(outcomes);
    const values = connection.published.map(({ message }) => Number(message.text()));
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(values.filter((n) => n % 3 !== 2)).toHaveLength(4_000);
    expect(settled.filter((outcome) => outcome === 'enough')).toHaveLength(2_000);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('listens once to a signal that many publishes share', async () => {
    const publisher = natsPublisher(connection);
    const { signal } = new AbortController();
    const publishes = Array.from({ length: 100 }, () => publisher.publish('s', 'v', { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const index of publishes.keys()) connection.acknowledge(index);
    await Promise.all(publishes);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

describe('a connection that ends', () => {
  it('settles all at once: unknown for sent publishes, not-sent for those that waited', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 1 } });
    const outcomes = [failure(publisher.publish('s', 'a')), failure(publisher.publish('s', 'b'))];
    connection.end(new Error('kicked out'));
    const [sent, waiting] = await Promise.all(outcomes);
    expect(sent).toBeInstanceOf(ConnectionError);
    expect(sent).toMatchObject({ outcome: 'unknown', reason: 'lost', cause: new Error('kicked out') });
    expect(waiting).toMatchObject({ code: 'CONNECTION', outcome: 'not-sent' });
    expect(connection.published).toHaveLength(1);
    expect(await failure(publisher.publish('s', 'c'))).toMatchObject({ code: 'CONNECTION', outcome: 'not-sent' });
  });

  it('makes errors not retryable when it is closed permanently', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 1 } });
    const outcomes = [failure(publisher.publish('s', 'a', { acks: 2 })), failure(publisher.publish('s', 'b'))];
    connection.acknowledge(0);
    // A connection that must not connect again reports that it broke, and then is closed.
    connection.report({ type: 'disconnect' });
    for (let n = 0; n < 10; n++) await Promise.resolve();
    connection.end();
    outcomes.push(failure(publisher.publish('s', 'c')));
    const errors = await Promise.all(outcomes);
    expect(errors).toMatchObject(new Array(3).fill({ code: 'CONNECTION', retryable: false }));
    expect(errors[0]).toMatchObject({ otherAcks: [{ stream: 's' }] });
  });

  it('makes errors not retryable when it is draining', async () => {
    const publisher = natsPublisher(connection);
    connection.refusal = new Error('CONNECTION_DRAINING');
    expect(await failure(publisher.publish('s', 'v'))).toMatchObject({ retryable: true });
    Object.assign(connection, { isDraining: () => true });
    expect(await failure(publisher.publish('s', 'v'))).toMatchObject({ code: 'CONNECTION', retryable: false });
  });

  it('makes errors retryable when it broke and may reconnect', async () => {
    const publisher = natsPublisher(connection);
    const lost = failure(publisher.publish('s', 'v'));
    connection.report({ type: 'disconnect' });
    expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown', retryable: true });
  });

  it('settles sent publishes when it breaks, holds back later ones, and continues once it is back', async () => {
    const publisher = natsPublisher(connection);
    const lost = failure(publisher.publish('s', 'a'));
    connection.report({ type: 'disconnect' });
    expect(await lost).toMatchObject({ code: 'CONNECTION', outcome: 'unknown' });
    const late = failure(publisher.publish('s', 'b', { timeout: 10 }));
    const next = publisher.publish('s', 'c');
    expect(await late).toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('it was not sent') });
    expect(connection.published).toHaveLength(1);
    connection.report({ type: 'reconnect' });
    await turn();
    expect(connection.published.map(({ message }) => message.text())).toEqual(['a', 'c']);
    connection.acknowledge(1);
    expect(await next).toHaveLength(1);
  });

  it('checks the size again when another server takes over', async () => {
    const publisher = natsPublisher(connection);
    connection.report({ type: 'disconnect' });
    await turn();
    const large = failure(publisher.publish('s', Buffer.alloc(500)));
    connection.info = { max_payload: 100 };
    connection.report({ type: 'reconnect' });
    expect(await large).toBeInstanceOf(MessageTooLargeError);
    expect(connection.published).toHaveLength(0);
  });

  it("fails publishes with ackPolicy 'none' whose flush fails", async () => {
    connection.onFlush = () => Promise.reject(new Error('disconnected'));
    const error = await failure(natsPublisher(connection).publish('s', 'v', { ackPolicy: 'none' }));
    expect(error).toMatchObject({ code: 'CONNECTION', outcome: 'unknown', cause: new Error('disconnected') });
  });

  it("times out publishes with ackPolicy 'none' that are never confirmed", async () => {
    connection.onFlush = () => new Promise(() => undefined);
    const error = await failure(natsPublisher(connection).publish('s', 'v', { ackPolicy: 'none', timeout: 10 }));
    expect(error).toBeInstanceOf(TimeoutError);
  });

  it('rejects a publish that the connection refuses, as not sent', async () => {
    connection.refusal = new Error('draining');
    const error = await failure(natsPublisher(connection).publish('s', 'v'));
    expect(error).toMatchObject({ code: 'CONNECTION', outcome: 'not-sent', cause: connection.refusal });
  });

  it('is refused by natsPublisher when it is closed', () => {
    connection.subscribe = () => {
      throw new Error('CONNECTION_CLOSED');
    };
    expect(() => natsPublisher(connection)).toThrow(ConnectionError);
    expect(() => natsPublisher({} as never)).toThrow(InvalidArgumentError);
  });
});

describe('a server that denies', () => {
  const spoken = {
    'nats 2.x': {
      type: 'error',
      data: 'PERMISSIONS_VIOLATION',
      permissionContext: { operation: 'publish', subject: 's' },
    },
    'nats-core 3.x': { type: 'error', error: Object.assign(new Error('no'), { operation: 'publish', subject: 's' }) },
  };
  it.each(Object.entries(spoken))('a subject fails the publishes to it (%s)', async (_package, status) => {
    const publisher = natsPublisher(connection);
    const denied = failure(publisher.publish('s', 'v'));
    const other = publisher.publish('other', 'v');
    connection.report(status);
    expect(await denied).toBeInstanceOf(PermissionDeniedError);
    connection.acknowledge(1);
    expect(await other).toHaveLength(1);
  });

  it('the inbox fails publishes that want an ack, and says how to solve it', async () => {
    const publisher = natsPublisher(connection);
    const waiting = failure(publisher.publish('s', 'v'));
    const [callback] = connection.subscriptions.values();
    callback?.(new Error('\'Permissions Violation for Subscription to "_INBOX.x"\''), { data: Buffer.alloc(0) });
    expect(await waiting).toBeInstanceOf(PermissionDeniedError);
    expect(((await waiting) as Error).message).toContain('inboxPrefix');
    expect(await failure(publisher.publish('s', 'v'))).toBe(await waiting);
    expect(await publisher.publish('s', 'v', { ackPolicy: 'none' })).toEqual([]);
  });
});

describe('close', () => {
  it('waits for publishes in flight, sends those that wait, then refuses others', async () => {
    const publisher = natsPublisher(connection, { maxInFlight: { messages: 1 } });
    const publishes = [publisher.publish('s', 'a'), publisher.publish('s', 'b')];
    const closing = publisher.close();
    expect(publisher.close()).toBe(closing);
    expect(await failure(publisher.publish('s', 'c'))).toBeInstanceOf(ClosedError);
    await turn();
    expect(connection.subscriptions.size).toBe(1);
    connection.acknowledge(0);
    connection.acknowledge(1);
    await closing;
    expect(await Promise.all(publishes)).toHaveLength(2);
    expect(connection.subscriptions.size).toBe(0);
  });

  it('does not wait longer than the timeouts of the publishes in flight', async () => {
    const publisher = natsPublisher(connection, { timeout: 10 });
    const publish = failure(publisher.publish('s', 'a'));
    await publisher.close();
    expect(await publish).toBeInstanceOf(AckTimeoutError);
  });

  it('leaves no timer behind', async () => {
    vi.useFakeTimers();
    const publisher = natsPublisher(connection);
    const publish = publisher.publish('s', 'v');
    expect(vi.getTimerCount()).toBe(1);
    connection.acknowledge(0);
    await publish;
    await publisher.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
