import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import {
  type Ack_Error,
  type AckPolicy,
  Message,
  type PublishAsyncError_Code,
  PublishRequest,
  PublishResponse,
} from '../../../src/protocol/generated/api.js';
import {
  decodeMessage,
  decodeMessageHeaders,
  emptyMessage,
  encodeMessage,
  type MessageFields,
} from '../../../src/protocol/message.js';
import {
  decodePublishRequest,
  encodePublishRequest,
  type PublishFields,
} from '../../../src/protocol/publish-request.js';
import { decodePublishResponse, encodePublishResponse } from '../../../src/protocol/publish-response.js';
import { WireError } from '../../../src/protocol/wire-reader.js';
import { holds } from '../../support/holds.js';
import { bytes, headers, int32, int64, text, unknownFields } from './wire-arbitraries.js';

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(64);
  // Something before it: offsets into the writer must not matter.
  writer.byte(0xff);
  write(writer);
  return writer.take().subarray(1);
}

const absent = (value: Uint8Array) => (value.length === 0 ? null : value);
const plain = (value: Uint8Array | null) => [...(value ?? [])];
const plainHeaders = (map: ReadonlyMap<string, Uint8Array>) =>
  [...map].map(([name, value]) => [name, [...value]]).sort();

const messages: fc.Arbitrary<MessageFields & { headers: Map<string, Uint8Array> }> = fc.record({
  offset: int64,
  key: bytes.map(absent),
  value: bytes.map(absent),
  timestamp: int64,
  stream: text,
  partition: int32,
  subject: text,
  replySubject: text,
  headers,
  ackInbox: text,
  correlationId: text,
  ackPolicy: int32.map((code) => code as AckPolicy),
});

const publishes: fc.Arbitrary<PublishFields & { headers: Map<string, Uint8Array> }> = fc.record({
  key: bytes.map(absent),
  value: bytes.map(absent),
  stream: text,
  partition: int32,
  headers,
  ackInbox: text,
  correlationId: text,
  ackPolicy: int32.map((code) => code as AckPolicy),
  expectedOffset: int64,
});

const responses: fc.Arbitrary<PublishResponse> = fc.record({
  ack: fc.option(
    fc.record({
      stream: text,
      partitionSubject: text,
      msgSubject: text,
      offset: int64,
      ackInbox: text,
      correlationId: text,
      ackPolicy: int32.map((code) => code as AckPolicy),
      receptionTimestamp: int64,
      commitTimestamp: int64,
      ackError: int32.map((code) => code as Ack_Error),
    }),
    { nil: undefined },
  ),
  asyncError: fc.option(fc.record({ code: int32.map((code) => code as PublishAsyncError_Code), message: text }), {
    nil: undefined,
  }),
  correlationId: text,
});

/** Entries with an empty name or value are written whole, as Go does; the generated codec leaves the part out. */
function hasEmptyPart(map: ReadonlyMap<string, Uint8Array>): boolean {
  return [...map].some(([name, value]) => name === '' || value.length === 0);
}

/** What the generated codec makes of the same fields. */
function generated<T extends { key: Uint8Array | null; value: Uint8Array | null }>(fields: T) {
  return { ...fields, key: fields.key ?? new Uint8Array(0), value: fields.value ?? new Uint8Array(0) };
}

function plainMessage(message: Buffer, strict: boolean) {
  const target = decodeMessage(message, 0, message.length, emptyMessage(), strict);
  const { key, value, source: _, headersStart: __, headersEnd: ___, ...rest } = target;
  return { ...rest, key: plain(key), value: plain(value), headers: plainHeaders(decodeMessageHeaders(target)) };
}

function plainFields({
  key,
  value,
  headers: map,
  ackPolicy,
  ...rest
}: MessageFields & { headers: Map<string, Uint8Array> }) {
  return { ...rest, ackPolicyCode: ackPolicy, key: plain(key), value: plain(value), headers: plainHeaders(map) };
}

describe('what the properties try', () => {
  it('has lengths that take one, two and three bytes, of texts and of bytes', () => {
    const parameters = { numRuns: 200, seed: 1 };
    const lengthBytes = (size: number): number => (size < 2 ** 7 ? 1 : size < 2 ** 14 ? 2 : 3);
    const reached = (sizes: readonly number[]) => new Set(sizes.map(lengthBytes));
    expect(reached(fc.sample(bytes, parameters).map(({ length }) => length))).toEqual(new Set([1, 2, 3]));
    expect(reached(fc.sample(text, parameters).map((one) => Buffer.byteLength(one)))).toEqual(new Set([1, 2, 3]));
  });
});

describe('encodeMessage', () => {
  it('writes what the generated codec writes, byte for byte', () => {
    holds(
      fc.property(messages, (message) => {
        const own = written((writer) => encodeMessage(writer, message));
        const expected = Buffer.from(Message.encode(generated(message)).finish());
        if (!hasEmptyPart(message.headers)) expect(own.equals(expected)).toBe(true);
        expect(Buffer.from(Message.encode(Message.decode(own)).finish()).equals(expected)).toBe(true);
      }),
    );
  });
});

describe('decodeMessage', () => {
  it('reads what the generated codec writes, unknown fields in between skipped', () => {
    holds(
      fc.property(messages, unknownFields, unknownFields, fc.boolean(), (message, before, after, strict) => {
        const encoded = Message.encode(generated(message)).finish();
        expect(plainMessage(Buffer.concat([before, encoded, after]), strict)).toEqual(plainFields(message));
      }),
    );
  });

  it('reads its part of a larger buffer and nothing around it', () => {
    holds(
      fc.property(
        messages,
        fc.uint8Array({ maxLength: 20, size: 'max' }),
        fc.uint8Array({ maxLength: 20, size: 'max' }),
        (message, head, tail) => {
          const encoded = Message.encode(generated(message)).finish();
          const source = Buffer.concat([head, encoded, tail]);
          const target = decodeMessage(source, head.length, head.length + encoded.length, emptyMessage());
          expect([target.offset, plain(target.value)]).toEqual([message.offset, plain(message.value)]);
          expect(plainHeaders(decodeMessageHeaders(target))).toEqual(plainHeaders(message.headers));
        },
      ),
    );
  });

  it('tells an absent key and value from those that are there but empty', () => {
    const none = decodeMessage(Buffer.from([0x08, 1]), 0, 2, emptyMessage());
    expect([none.key, none.value]).toEqual([null, null]);
    const empty = decodeMessage(Buffer.from([0x12, 0, 0x1a, 0]), 0, 4, emptyMessage());
    expect([empty.key?.length, empty.value?.length]).toEqual([0, 0]);
  });

  it('keeps a header called __proto__, and lets the later of two entries win', () => {
    const twice = written((writer) =>
      encodeMessage(writer, {
        key: null,
        value: null,
        offset: 0n,
        timestamp: 0n,
        stream: 's',
        partition: 0,
        subject: '',
        replySubject: '',
        headers: [
          ['__proto__', Buffer.from('a')],
          ['h', Buffer.from('first')],
          ['h', Buffer.from('second')],
        ],
        ackInbox: '',
        correlationId: '',
        ackPolicy: 0,
      }),
    );
    const read = decodeMessageHeaders(decodeMessage(twice, 0, twice.length, emptyMessage()));
    expect([...read].map(([name, value]) => [name, value.toString()])).toEqual([
      ['__proto__', 'a'],
      ['h', 'second'],
    ]);
  });

  it('finds headers that other fields stand between', () => {
    const header = (name: string) => [0x4a, name.length + 2, 0x0a, name.length, ...Buffer.from(name)];
    const source = Buffer.from([...header('a'), 0x08, 5, 0x12, 1, 9, ...header('b'), 0x2a, 1, 0x73]);
    const target = decodeMessage(source, 0, source.length, emptyMessage(), true);
    expect([...decodeMessageHeaders(target).keys()]).toEqual(['a', 'b']);
    expect([target.offset, target.key?.[0], target.stream]).toEqual([5n, 9, 's']);
  });
});

describe('encodePublishRequest and decodePublishRequest', () => {
  it('write what the generated codec writes, and read it', () => {
    holds(
      fc.property(publishes, unknownFields, (publish, unknown) => {
        const expected = Buffer.from(PublishRequest.encode(generated(publish)).finish());
        const own = written((writer) => encodePublishRequest(writer, publish));
        if (!hasEmptyPart(publish.headers)) expect(own.equals(expected)).toBe(true);
        expect(Buffer.from(PublishRequest.encode(PublishRequest.decode(own)).finish()).equals(expected)).toBe(true);
        const read = decodePublishRequest(Buffer.concat([unknown, own]));
        expect({
          ...read,
          key: plain(read.key),
          value: plain(read.value),
          headers: plainHeaders(read.headers),
        }).toEqual({
          ...publish,
          key: plain(publish.key),
          value: plain(publish.value),
          headers: plainHeaders(publish.headers),
        });
      }),
    );
  });
});

describe('encodePublishResponse and decodePublishResponse', () => {
  it('write what the generated codec writes, and read it', () => {
    holds(
      fc.property(responses, unknownFields, (response, unknown) => {
        const expected = Buffer.from(PublishResponse.encode(response).finish());
        const own = written((writer) => encodePublishResponse(writer, response));
        expect(own.equals(expected)).toBe(true);
        expect(decodePublishResponse(Buffer.concat([own, unknown]))).toEqual(response);
      }),
    );
  });

  it('reads unknown fields inside an ack and an error', () => {
    holds(
      fc.property(unknownFields, (unknown) => {
        const part = (tag: number, payload: Uint8Array) =>
          written((writer) => {
            writer.byte(tag);
            writer.bytes(payload);
          });
        const ack = Buffer.concat([unknown, Buffer.from([0x20, 7])]);
        const error = Buffer.concat([Buffer.from([0x08, 3]), unknown]);
        const read = decodePublishResponse(Buffer.concat([part(0x0a, ack), part(0x12, error)]));
        expect([read.ack?.offset, read.asyncError]).toEqual([7n, { code: 3, message: '' }]);
      }),
    );
  });
});

const decoders: [string, (source: Buffer) => unknown][] = [
  ['decodeMessage', (source) => decodeMessageHeaders(decodeMessage(source, 0, source.length, emptyMessage()))],
  ['decodeMessage, strict', (source) => decodeMessage(source, 0, source.length, emptyMessage(), true)],
  ['decodePublishRequest', (source) => decodePublishRequest(source)],
  ['decodePublishResponse', (source) => decodePublishResponse(source)],
];

/** Whether it was read; anything but a WireError is thrown on. */
function accepted(decode: (source: Buffer) => unknown, source: Buffer): boolean {
  try {
    decode(source);
    return true;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

describe.each(decoders)('%s', (_, decode) => {
  it('reads random bytes or throws WireError, never anything else', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), (source) => {
        expect([true, false]).toContain(accepted(decode, Buffer.from(source)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads messages with a byte changed or the end cut off, or throws WireError', () => {
    holds(
      fc.property(
        fc.oneof(
          messages.map((fields) => written((writer) => encodeMessage(writer, fields))),
          publishes.map((fields) => written((writer) => encodePublishRequest(writer, fields))),
          responses.map((response) => written((writer) => encodePublishResponse(writer, response))),
        ),
        fc.nat(),
        fc.nat(255),
        (source, position, byte) => {
          if (source.length === 0) return;
          const damaged = Buffer.from(source);
          damaged[position % source.length] = byte;
          const cut = source.subarray(0, position % source.length);
          expect([true, false]).toContain(accepted(decode, damaged) || accepted(decode, cut));
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a message cut off at any byte', () => {
  const whole = Buffer.from(
    PublishResponse.encode({
      ack: {
        stream: 'stream',
        partitionSubject: 'subject',
        msgSubject: 'subject.1',
        offset: -1n,
        ackInbox: 'inbox',
        correlationId: 'id',
        ackPolicy: 1,
        receptionTimestamp: 2n ** 62n,
        commitTimestamp: 1n,
        ackError: 2,
      },
      asyncError: { code: 3, message: 'why' },
      correlationId: 'id',
    }).finish(),
  );

  it('is a WireError unless the cut falls between two fields', () => {
    const readable: number[] = [];
    for (let size = 0; size <= whole.length; size++) {
      if (accepted((source) => decodePublishResponse(source), whole.subarray(0, size))) readable.push(size);
    }
    const ackEnd = 2 + whole[1]!;
    const errorEnd = ackEnd + 2 + whole[ackEnd + 1]!;
    expect(readable).toEqual([0, ackEnd, errorEnd, whole.length]);
  });
});

describe('text that is not UTF-8', () => {
  const broken = Buffer.from([0x2a, 3, 0x61, 0xff, 0x62]);

  it('is replaced by U+FFFD, and refused when strict', () => {
    expect(decodeMessage(broken, 0, broken.length, emptyMessage()).stream).toBe('a\ufffdb');
    expect(() => decodeMessage(broken, 0, broken.length, emptyMessage(), true)).toThrow(WireError);
  });

  it('is refused when strict although the same bytes were just read otherwise', () => {
    for (let i = 0; i < 3; i++) decodeMessage(broken, 0, broken.length, emptyMessage());
    expect(() => decodeMessage(broken, 0, broken.length, emptyMessage(), true)).toThrow(/invalid UTF-8/);
  });

  it('is refused in the names of headers when strict', () => {
    const header = Buffer.from([0x4a, 4, 0x0a, 2, 0xc3, 0x28]);
    expect(() => decodeMessage(header, 0, header.length, emptyMessage(), true)).toThrow(WireError);
    const publish = Buffer.from([0x2a, 4, 0x0a, 2, 0xc3, 0x28]);
    expect(() => decodePublishRequest(publish)).toThrow(WireError);
  });
});
