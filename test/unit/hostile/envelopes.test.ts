import * as fc from 'fast-check';
import {
  decodeAck,
  decodeMessage,
  EnvelopeError,
  encodeAck,
  encodeMessage,
  InvalidArgumentError,
  isEnvelope,
  type LiftbridgeError,
  type Message,
} from 'liftbridge-client/envelope';
import { describe, expect, it } from 'vitest';
import { fuzz } from '../../support/fuzz.js';
import { holds } from '../../support/holds.js';
import { HOSTILE } from '../../support/hostile.js';

const hostile = fc.constantFrom(...Object.keys(HOSTILE));
const option = fc.constantFrom(
  ...['key', 'headers', 'ackInbox', 'correlationId', 'ackPolicy', 'expectedOffset', 'checksum', 'unknown'],
);
const ackField = fc.constantFrom(
  ...['stream', 'partitionSubject', 'messageSubject', 'offset', 'ackInbox', 'correlationId', 'ackPolicy'],
  ...['receptionTimestamp', 'commitTimestamp', 'error', 'unknown'],
);

/** Runs it; answers what it threw, which must be of one of these classes. */
function attempt(run: () => unknown, ...classes: readonly (new (...args: never[]) => LiftbridgeError)[]): unknown {
  try {
    return run();
  } catch (error) {
    expect(classes.some((allowed) => error instanceof allowed)).toBe(true);
    expect((error as Error).message.length).toBeLessThan(700);
    return error;
  }
}

/** A sound call works as ever, whatever was called before. */
function expectSound(): void {
  const message = decodeMessage(encodeMessage('value', { key: 'k', headers: { h: 'v' }, correlationId: 'c' }));
  expect([message.text(), message.key?.toString(), message.headers.h?.toString()]).toEqual(['value', 'k', 'v']);
  expect(decodeAck(encodeAck({ stream: 's', offset: 5 }))).toMatchObject({ stream: 's', offset: 5n, error: 'ok' });
}

describe('encodeMessage and encodeAck, given anything', () => {
  it('write an envelope that can be read, or throw INVALID_ARGUMENT; the next one is sound', () => {
    holds(
      fc.property(hostile, option, hostile, (value, name, what) => {
        const options = { [name]: HOSTILE[what]!() };
        const nested = { headers: { a: HOSTILE[what]!() } };
        for (const given of [options, nested, HOSTILE[what]!()]) {
          for (const content of ['text', HOSTILE[value]!()]) {
            const result = attempt(() => encodeMessage(content as never, given as never), InvalidArgumentError);
            if (Buffer.isBuffer(result)) void decodeMessage(result).headers;
          }
        }
        expectSound();
      }),
      fuzz(),
    );
  });

  it('the same for acks', () => {
    holds(
      fc.property(ackField, hostile, (name, what) => {
        for (const given of [{ [name]: HOSTILE[what]!() }, HOSTILE[what]!()]) {
          const result = attempt(() => encodeAck(given as never), InvalidArgumentError);
          if (Buffer.isBuffer(result)) decodeAck(result);
        }
        expectSound();
      }),
      fuzz(),
    );
  });

  it('read options once', () => {
    let looks = 0;
    const options = Object.defineProperty({}, 'expectedOffset', {
      enumerable: true,
      get: () => (looks++ === 0 ? 5n : 'later'),
    });
    expect(decodeMessage(encodeMessage('v', options)).offset).toBe(5n);
    class Options {
      get correlationId(): unknown {
        return 7;
      }
    }
    expect(() => encodeMessage('v', new Options() as never)).toThrow(
      'expected correlationId to be a string, got 7 (number)',
    );
  });

  it.each([
    ['correlationId', { correlationId: '\ud800' }],
    ['ackInbox', { ackInbox: 'a\udc00b' }],
    ['headers', { headers: { '\ud800': 'v' } }],
  ])('refuse half of a surrogate pair, which would come back as another text, in %s', (name, options) => {
    const error = attempt(() => encodeMessage('v', options), InvalidArgumentError);
    expect((error as Error).message).toMatch(new RegExp(`${name}.*surrogate pair`));
    expect((error as Error).message).not.toMatch(/\p{Surrogate}/u);
  });

  it('do not keep the memory of their arguments', () => {
    const value = Buffer.from('value');
    const envelope = encodeMessage(value, { key: value, headers: { h: value } });
    value.fill(0);
    const message = decodeMessage(envelope);
    expect([message.text(), message.key?.toString(), message.headers.h?.toString()]).toEqual([
      'value',
      'value',
      'value',
    ]);
  });
});

describe('decodeMessage, decodeAck and isEnvelope, given anything', () => {
  it.each(Object.keys(HOSTILE))('%s: throw a typed error, or return false', (what) => {
    const data = () => HOSTILE[what]!() as Uint8Array;
    for (const decode of [decodeMessage, decodeAck]) {
      const error = attempt(() => decode(data()), InvalidArgumentError, EnvelopeError);
      expect(error).toMatchObject({ operation: decode.name });
    }
    expect(isEnvelope(data())).toBe(false);
    expectSound();
  });

  it('read a valid envelope whose bytes have a wrong length property', () => {
    const envelope = encodeMessage('value');
    for (const length of [undefined, 1, 2 ** 40]) {
      const lying = Object.defineProperty(Buffer.from(envelope), 'length', { value: length });
      expect(decodeMessage(lying).text()).toBe('value');
      expect(isEnvelope(lying)).toBe(true);
    }
  });
});

const HEADER = Buffer.from([0xb9, 0x0e, 0x43, 0xb4, 0, 8, 0, 0]);

/** Fields of any number and wire type, with lengths and contents that do not fit. */
const wireField = fc.record({
  number: fc.oneof(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 2 ** 29 })),
  type: fc.integer({ min: 0, max: 7 }),
  length: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 2 ** 31 })),
  body: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f))),
});

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

describe('envelopes whose payload is anything', () => {
  it('are read or refused as ENVELOPE, headers, text and JSON included', () => {
    holds(
      fc.property(fc.array(wireField, { maxLength: 8 }), (fields) => {
        const parts = fields.map(({ number, type, length, body }) =>
          Buffer.from([...varint(number * 8 + type), ...(type === 2 ? varint(length ?? body.length) : []), ...body]),
        );
        const data = Buffer.concat([HEADER, ...parts]);
        const message = attempt(() => decodeMessage(data), EnvelopeError);
        if (!(message instanceof EnvelopeError)) {
          const { headers, time } = message as Message;
          expect([typeof headers, time instanceof Date]).toEqual(['object', true]);
          expect(JSON.stringify(message)).toBeTypeOf('string');
        }
        data[7] = 1;
        attempt(() => decodeAck(data), EnvelopeError);
        expectSound();
      }),
      fuzz(1_000),
    );
  });
});
