import * as fc from 'fast-check';
import { encodeAck, encodeMessage } from 'liftbridge-client/envelope';
import { LiftbridgeError, natsPublisher } from 'liftbridge-client/nats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuzz } from '../../support/fuzz.js';
import { HOSTILE } from '../../support/hostile.js';
import { FakeConnection } from './fake-connection.js';

let connection: FakeConnection;
let unhandled: unknown[];
const note = (error: unknown): void => void unhandled.push(error);

beforeEach(() => {
  connection = new FakeConnection();
  unhandled = [];
  process.on('unhandledRejection', note);
});
afterEach(async () => {
  connection.end();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

const hostile = fc.constantFrom(...Object.keys(HOSTILE));

async function outcome(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    return error;
  }
}

function expectTyped(error: unknown): void {
  if (error === null) return;
  expect(error).toBeInstanceOf(LiftbridgeError);
  expect((error as LiftbridgeError).operation).toBeTypeOf('string');
  expect((error as Error).message.length).toBeLessThan(1_000);
}

const PUBLISH_OPTIONS = [
  ...[
    'key',
    'headers',
    'ackInbox',
    'correlationId',
    'ackPolicy',
    'expectedOffset',
    'checksum',
    'acks',
    'signal',
    'timeout',
  ],
  'unknown',
];

describe('natsPublisher with arbitrary arguments', () => {
  it('publishes or rejects with a typed error, and still publishes the next message', {
    timeout: 120_000,
  }, async () => {
    const publisher = natsPublisher(connection, { timeout: 5 });
    const where = fc.constantFrom('subject', 'value', 'options', ...PUBLISH_OPTIONS);
    const property = fc.asyncProperty(where, hostile, async (place, what) => {
      const made = HOSTILE[what]!();
      const subject = place === 'subject' ? made : 's';
      const value = place === 'value' ? made : 'value';
      const options = PUBLISH_OPTIONS.includes(place) ? { [place]: made } : place === 'options' ? made : undefined;
      const published = outcome(() => publisher.publish(subject as string, value as string, options as object));
      // No publish gets a response: each ends by its timeout, or needs no ack.
      const next = publisher.publish('next', 'next', { timeout: 10_000 });
      connection.acknowledge(connection.published.length - 1);
      expect(await next).toHaveLength(1);
      expectTyped(await published);
    });
    await fc.assert(property, fuzz(400));
    await publisher.close();
    expect(connection.subscriptions.size).toBe(0);
  });

  it('returns a publisher or throws a typed error', async () => {
    const where = fc.constantFrom(
      'connection',
      'options',
      'timeout',
      'maxInFlight',
      'inboxPrefix',
      'logger',
      'unknown',
    );
    await fc.assert(
      fc.asyncProperty(where, hostile, async (place, what) => {
        const made = HOSTILE[what]!();
        const options = place === 'options' ? made : place === 'connection' ? undefined : { [place]: made };
        const error = await outcome(() =>
          natsPublisher((place === 'connection' ? made : connection) as never, options as object).close(),
        );
        expectTyped(error);
        if (place === 'connection') expect(error).not.toBeNull();
      }),
      fuzz(),
    );
  });
});

const text = fc.string({ unit: 'grapheme' });

/** Messages that any sender may send to an inbox. */
const stray: fc.Arbitrary<() => Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map((data) => () => data),
  fc.uint8Array({ maxLength: 64 }).map((data) => () => Buffer.concat([Buffer.from('b90e43b400080001', 'hex'), data])),
  fc.record({ stream: text, messageSubject: text, correlationId: text }).map((ack) => () => encodeAck(ack)),
  text.map((value) => () => encodeMessage(value)),
  hostile.map((what) => () => HOSTILE[what]!() as Uint8Array),
);

describe('a message in its inbox', () => {
  it('neither ends the publisher nor settles another publish', async () => {
    const publisher = natsPublisher(connection, { timeout: 60_000 });
    let settled = false;
    const waiting = publisher.publish('s', 'v');
    const watch = (): void => {
      settled = true;
    };
    waiting.then(watch, watch);
    await fc.assert(
      fc.asyncProperty(fc.array(stray, { maxLength: 5 }), async (messages) => {
        for (const make of messages) connection.deliver(make());
        await Promise.resolve();
        expect(settled).toBe(false);
      }),
      fuzz(),
    );
    connection.acknowledge(0);
    expect(await waiting).toHaveLength(1);
  });
});

describe('a status of its connection', () => {
  it.each(Object.keys(HOSTILE))('%s: is ignored', async (what) => {
    const publisher = natsPublisher(connection, { timeout: 10_000 });
    const published = publisher.publish('s', 'v');
    // Not the value itself: an async generator could not hand it out.
    for (const status of [{ type: HOSTILE[what]!() }, { type: 'error', error: HOSTILE[what]!() }])
      connection.report(status as never);
    await new Promise((resolve) => setImmediate(resolve));
    connection.acknowledge(0);
    expect(await published).toHaveLength(1);
    const lost = outcome(() => publisher.publish('s', 'v'));
    connection.report({ type: 'disconnect' });
    expect(await lost).toMatchObject({ code: 'CONNECTION' });
  });
});
