import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeAckFields } from '../../../src/protocol/ack.js';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { decodeMessage, emptyMessage, encodeMessage } from '../../../src/protocol/message.js';
import { decodePublishRequest, encodePublishRequest } from '../../../src/protocol/publish-request.js';
import { decodePublishResponse, encodePublishResponse } from '../../../src/protocol/publish-response.js';
import { ReceivedMessage } from '../../../src/protocol/received-message.js';
import { WireError, WireReader } from '../../../src/protocol/wire-reader.js';
import { fuzz } from '../../support/fuzz.js';
import { holds } from '../../support/holds.js';

const HEADERS = [
  ['name', Buffer.from('value')],
  ['', Buffer.alloc(0)],
] as const;

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return writer.take();
}

const request = written((writer) =>
  encodePublishRequest(writer, {
    ...{ key: Buffer.from('key'), value: Buffer.from('value'), stream: 'orders', partition: -3, headers: HEADERS },
    ...{ ackInbox: 'acks', correlationId: 'id', ackPolicy: 1, expectedOffset: -1n },
  }),
);
const ack = {
  ...{ stream: 'orders', partitionSubject: 'orders', msgSubject: 'orders.1', offset: 2n ** 60n, ackInbox: 'acks' },
  ...{ correlationId: 'id', ackPolicy: 1 as const, receptionTimestamp: 5n, commitTimestamp: -6n, ackError: 2 as const },
};
const response = written((writer) =>
  encodePublishResponse(writer, { ack, asyncError: { code: 3, message: 'größe' }, correlationId: 'id' }),
);
const message = written((writer) =>
  encodeMessage(writer, {
    ...{ offset: 7n, key: 'key', value: 'value', timestamp: 5n, stream: 'orders', partition: 3, subject: 'orders.3' },
    ...{ replySubject: 'reply', headers: HEADERS, ackInbox: '', correlationId: '', ackPolicy: 0 as const },
  }),
);

/** Each decoder, with a sound input. What it answers is looked at in full. */
const DECODERS: Readonly<Record<string, { readonly sound: Buffer; readonly decode: (data: Buffer) => unknown }>> = {
  decodePublishRequest: { sound: request, decode: (data) => decodePublishRequest(data) },
  decodePublishResponse: { sound: response, decode: (data) => decodePublishResponse(data) },
  'decodeMessage, of a server': {
    sound: message,
    decode: (data) => decodeMessage(data, 0, data.length, emptyMessage(), true),
  },
  'decodeMessage, of a subscriber': {
    sound: message,
    decode: (data) => {
      const received = decodeMessage(data, 0, data.length, new ReceivedMessage());
      return [received.text(), received.key, received.time, received.ackPolicy, received.stream];
    },
  },
  decodeAckFields: {
    sound: response.subarray(2),
    decode: (data) => {
      const reader = new WireReader();
      reader.open(data, 0, data.length);
      return decodeAckFields(reader, true);
    },
  },
};

/** How an input differs from a sound one. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), to: fc.nat() }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(), to: fc.nat() }),
  fc.record({ kind: fc.constant('varint' as const), at: fc.nat(), to: fc.integer({ min: 1, max: 12 }) }),
);

function damaged(sound: Buffer, list: readonly { kind: string; at: number; to: number }[]): Buffer {
  let data = Buffer.from(sound);
  for (const { kind, at, to } of list) {
    const index = data.length === 0 ? 0 : at % data.length;
    if (kind === 'flip' && data.length > 0) data[index] = to;
    else if (kind === 'cut') data = data.subarray(0, index);
    else if (kind === 'repeat') data = Buffer.concat([data, data.subarray(index, index + (to % 20))]);
    else if (kind === 'varint')
      data = Buffer.concat([data.subarray(0, index), Buffer.alloc(to, 0xff), data.subarray(index)]);
  }
  return data;
}

describe('the hot codecs, given anything', () => {
  it.each(Object.entries(DECODERS))(
    '%s: answers or throws WireError, and reads the next one as ever',
    (_name, each) => {
      const expected = JSON.stringify(each.decode(each.sound), (_key, value) =>
        typeof value === 'bigint' ? `${value}` : value,
      );
      const inputs = fc.oneof(
        fc.array(damage, { minLength: 1, maxLength: 4 }).map((list) => damaged(each.sound, list)),
        fc.uint8Array({ maxLength: 80 }).map((data) => Buffer.from(data)),
      );
      let refused = 0;
      let taken = 0;
      holds(
        fc.property(inputs, (data) => {
          try {
            each.decode(data);
            taken++;
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
            refused++;
          }
          const again = each.decode(each.sound);
          expect(JSON.stringify(again, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))).toBe(
            expected,
          );
        }),
        fuzz(1_000),
      );
      // Both ways must have been gone, or the inputs prove nothing.
      expect(refused).toBeGreaterThan(50);
      expect(taken).toBeGreaterThan(50);
    },
  );

  it('limit their recursion, and do not allocate the length that a message claims', () => {
    const groups = Buffer.alloc(100_000, 0x0b);
    const announced = Buffer.from([0x1a, 0xff, 0xff, 0xff, 0xff, 0x07, 0x61]);
    for (const { decode } of Object.values(DECODERS))
      for (const data of [groups, announced]) expect(() => decode(data)).toThrow(WireError);
  });
});
