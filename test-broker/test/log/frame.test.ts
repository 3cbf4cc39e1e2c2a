import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entrySize, frameEntrySize } from '../../src/log/entry-size.js';
import {
  decodeFrame,
  eachFrame,
  encodeFrame,
  frameKey,
  frameOffset,
  frameTimestamp,
  replaceValue,
  storedHeaders,
} from '../../src/log/frame.js';

const bytes = fc.uint8Array({ maxLength: 200, size: 'max' });
const entry = fc.record({
  offset: fc.maxSafeNat(),
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestamp: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  subject: fc.string({ maxLength: 40, size: 'max', unit: 'grapheme' }),
  reply: fc.string({ maxLength: 40, size: 'max' }),
  headers: fc.uniqueArray(fc.tuple(fc.string({ maxLength: 20, size: 'max', unit: 'grapheme' }), bytes), {
    maxLength: 5,
    selector: ([name]) => name,
  }),
});

const orNull = (value: Uint8Array | null) => (value === null || value.length === 0 ? null : Buffer.from(value));

function encode({ headers, subject, reply, ...message }: ReturnType<typeof sample>) {
  const stored = storedHeaders(headers, subject, reply);
  const frame = encodeFrame({
    ...message,
    offset: BigInt(message.offset),
    stream: 'stream',
    partition: 2,
    subject,
    replySubject: reply,
    headers: stored,
    ackInbox: '',
    correlationId: '',
    ackPolicy: 0,
  });
  return { frame, stored };
}
const sample = () => fc.sample(entry, 1)[0]!;

describe('encodeFrame', () => {
  it('can be read back as a whole and in parts', async () => {
    await fc.assert(
      fc.property(entry, (message) => {
        const { frame, stored } = encode(message);
        const { headers, ...rest } = decodeFrame(frame);
        expect(rest).toEqual({
          offset: message.offset,
          key: orNull(message.key),
          value: orNull(message.value),
          timestamp: message.timestamp,
          subject: message.subject,
          reply: message.reply,
        });
        expect([...headers]).toEqual(stored.map(([name, value]) => [name, Buffer.from(value)]));
        expect([frameOffset(frame), frameTimestamp(frame), frameKey(frame)]).toEqual([
          rest.offset,
          rest.timestamp,
          rest.key,
        ]);
        expect(frameEntrySize(frame)).toBe(entrySize(message.key?.length ?? 0, message.value?.length ?? 0, stored));
      }),
    );
  });
});

describe('replaceValue', () => {
  it('changes nothing but the value', async () => {
    await fc.assert(
      fc.property(entry, bytes, (message, value) => {
        const changed = replaceValue(encode(message).frame, () => value);
        expect(decodeFrame(changed)).toEqual({ ...decodeFrame(encode(message).frame), value: orNull(value) });
      }),
    );
  });
});

describe('eachFrame', () => {
  it('visits every frame of a batch', async () => {
    await fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        const frames = entries.map((message) => Buffer.from(encode(message).frame));
        const seen: Buffer[] = [];
        eachFrame(Buffer.concat(frames), (frame) => seen.push(frame));
        expect(seen).toEqual(frames);
      }),
    );
  });
});
