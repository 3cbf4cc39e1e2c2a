import { inspect } from 'node:util';
import {
  DeserializationError,
  decodeMessage,
  encodeMessage,
  InvalidArgumentError,
  isEnvelope,
} from 'liftbridge-client/envelope';
import { decodeMessage as decodeWire, encodeMessage as encodeWire, ReceivedMessage } from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { emptyMessage } from '../../../src/protocol/message.js';

function received(fields: object): ReceivedMessage {
  const writer = new ByteWriter();
  encodeWire(writer, { ...emptyMessage(), headers: null, ackPolicy: 0, ...fields });
  const data = writer.take();
  return decodeWire(data, 0, data.length, new ReceivedMessage());
}

describe('Message', () => {
  it('gives its value as text and as JSON', () => {
    expect(decodeMessage(encodeMessage('{"n":1}')).json()).toEqual({ n: 1 });
    expect(decodeMessage(encodeMessage('né')).text()).toBe('né');
    expect(decodeMessage(encodeMessage(null)).text()).toBe('');
    expect(() => decodeMessage(encodeMessage('{')).json()).toThrow(DeserializationError);
  });

  it('has null for a key or value that is not there', () => {
    const message = decodeMessage(encodeMessage('', { key: '' }));
    expect([message.key, message.value]).toEqual([null, null]);
  });

  it('tells its time to the millisecond and its timestamp to the nanosecond', () => {
    const message = received({ timestamp: 1_700_000_000_123_456_789n });
    expect(message.timestamp).toBe(1_700_000_000_123_456_789n);
    expect(message.time.toISOString()).toBe('2023-11-14T22:13:20.123Z');
  });

  it('looks up headers of any name, and finds none that were not sent', () => {
    const headers = { constructor: 'a', ['__proto__']: 'b' };
    const message = decodeMessage(encodeMessage('v', { headers }));
    expect(message.headers.constructor?.toString()).toBe('a');
    expect(Object.keys(message.headers)).toEqual(['constructor', '__proto__']);
    expect(message.headers.toString).toBeUndefined();
    expect(message.headers).toBe(message.headers);
  });

  it('becomes JSON: 64-bit numbers as text, bytes as base64, its time as ISO 8601', () => {
    const message = received({
      offset: 2n ** 60n,
      key: Buffer.from([255]),
      stream: 's',
      headers: [['h', Buffer.from('v')]],
    });
    expect(JSON.parse(JSON.stringify(message))).toEqual({
      ...{ offset: '1152921504606846976', key: '/w==', value: null, timestamp: '0', stream: 's', partition: 0 },
      ...{
        subject: '',
        replySubject: '',
        headers: { h: 'dg==' },
        ackInbox: '',
        correlationId: '',
        ackPolicy: 'leader',
        time: '1970-01-01T00:00:00.000Z',
      },
    });
  });

  it('shows only the fields that are set in logs', () => {
    const message = received({ offset: 7n, value: Buffer.from('text'), stream: 's', partition: 2 });
    expect(inspect(message, { breakLength: Number.POSITIVE_INFINITY })).toBe(
      "Message { stream: 's', partition: 2, offset: 7n, key: null, value: 'text', headers: {} }",
    );
  });

  it("reads an unknown ack policy as 'none': it is never acknowledged", () => {
    expect(received({ ackPolicy: 7 }).ackPolicy).toBe('none');
  });
});

describe('encodeMessage', () => {
  const refused: readonly [string, () => Buffer, RegExp][] = [
    ['a value that is a number', () => encodeMessage(1 as never), /expected value to be a string, .*got 1 \(number\)/],
    ['an unknown option', () => encodeMessage('v', { keys: 'k' } as never), /unknown option keys/],
    [
      'an unknown policy',
      () => encodeMessage('v', { ackPolicy: 'most' as never }),
      /ackPolicy .* got "most" \(string\)/,
    ],
    ['an offset of more than 64 bits', () => encodeMessage('v', { expectedOffset: 2n ** 63n }), /expectedOffset/],
    ['an offset that is no exact number', () => encodeMessage('v', { expectedOffset: 2 ** 53 }), /expectedOffset/],
    ['a header that is a number', () => encodeMessage('v', { headers: { a: 1 as never } }), /headers\.a /],
    ['headers in a Map', () => encodeMessage('v', { headers: new Map([['a', 'b']]) as never }), /headers/],
  ];
  it.each(refused)('refuses %s by name', (_what, encode, text) => {
    expect(encode).toThrow(InvalidArgumentError);
    expect(encode).toThrow(text);
  });

  it('takes an option that is undefined for one that is not set', () => {
    const bare = encodeMessage('v');
    expect(encodeMessage('v', { key: undefined, headers: undefined, expectedOffset: undefined }).equals(bare)).toBe(
      true,
    );
  });

  it('returns bytes that later envelopes do not overwrite', () => {
    const first = encodeMessage('first');
    const copy = Buffer.from(first);
    for (let i = 0; i < 10_000; i++) encodeMessage(`message ${i}`, { checksum: true });
    expect(first.equals(copy)).toBe(true);
  });
});

describe('isEnvelope', () => {
  it('tells envelopes from plain data, damaged ones included', () => {
    const envelope = encodeMessage('v', { checksum: true });
    expect(isEnvelope(envelope)).toBe(true);
    expect(isEnvelope(Uint8Array.from(envelope))).toBe(true);
    envelope[envelope.length - 1]! ^= 1;
    expect(isEnvelope(envelope)).toBe(false);
    expect(isEnvelope(Buffer.from('hello, world'))).toBe(false);
    expect(isEnvelope(Buffer.alloc(0))).toBe(false);
  });
});
