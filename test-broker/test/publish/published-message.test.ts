import fc from 'fast-check';
import { ByteWriter, encodePublishRequest, wire } from 'liftbridge-client/protocol';
import { describe, expect, it } from 'vitest';
import { encodeAddress, encodeInbox, PublishedMessage } from '../../src/publish/published-message.js';

const INBOX = encodeInbox('inbox');
const ADDRESS = encodeAddress('s', 'subject');

const bytes = fc.uint8Array({ maxLength: 300, size: 'max' });
const text = fc.string({ unit: 'grapheme', maxLength: 40, size: 'max' });
const request = fc.record({
  key: bytes,
  value: bytes,
  stream: text,
  partition: fc.integer(),
  headers: fc.array(fc.tuple(text, bytes), { maxLength: 4 }).map((entries) => new Map(entries)),
  ackInbox: text,
  correlationId: text,
  ackPolicy: fc.nat(9).map((code) => code as wire.AckPolicy),
  expectedOffset: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
});

function encode(fields: wire.PublishRequest): Buffer {
  const writer = new ByteWriter();
  encodePublishRequest(writer, fields);
  return writer.take();
}

function buffers(headers: Iterable<[string, Uint8Array]>): [string, Buffer][] {
  return Array.from(headers, ([name, value]) => [name, Buffer.from(value)]);
}

describe('PublishedMessage', () => {
  it('encodes any request as an envelope', () => {
    const message = new PublishedMessage();
    fc.assert(
      fc.property(request, (fields) => {
        message.read(encode(fields));
        expect(message).toMatchObject({ stream: fields.stream, partition: fields.partition });
        expect(message.correlationId).toBe(fields.correlationId);
        const envelope = message.envelope(ADDRESS, INBOX);
        expect(envelope.subarray(0, 8).toString('hex')).toBe('b90e43b400080000');
        const { headers, ...rest } = wire.Message.decode(envelope.subarray(8));
        expect(buffers(headers)).toEqual(buffers(fields.headers));
        expect({ ...rest, key: Buffer.from(rest.key), value: Buffer.from(rest.value) }).toEqual({
          offset: fields.expectedOffset,
          key: Buffer.from(fields.key),
          value: Buffer.from(fields.value),
          timestamp: 0n,
          stream: 's',
          partition: 0,
          subject: 'subject',
          replySubject: '',
          ackInbox: 'inbox',
          correlationId: fields.correlationId,
          ackPolicy: fields.ackPolicy,
        });
      }),
    );
  });

  it.each([
    ['stream', '1a02c328'],
    ['ack inbox', '3202c328'],
    ['correlation id', '3a02c328'],
    ['name of a header', '2a040a02c328'],
  ])('rejects a %s that is not UTF-8', (_, hex) => {
    expect(() => new PublishedMessage().read(Buffer.from(hex, 'hex'))).toThrow('string field contains invalid UTF-8');
  });

  it('rejects a truncated field', () => {
    expect(() => new PublishedMessage().read(Buffer.from('120a00', 'hex'))).toThrow('truncated field');
  });

  it('detects by its bytes a header name that is too long for a server', () => {
    const message = new PublishedMessage();
    const withName = (name: string) =>
      encode({ ...wire.PublishRequest.create(), headers: new Map([[name, Buffer.alloc(0)]]) });
    message.read(withName('ü'.repeat(16_383)));
    expect(message.overlongHeader).toBe(false);
    message.read(withName('ü'.repeat(16_384)));
    expect(message.overlongHeader).toBe(true);
    message.read(withName('x'));
    expect(message.overlongHeader).toBe(false);
  });
});
