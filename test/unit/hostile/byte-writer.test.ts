import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteCount, copyOf, plainView } from '../../../src/protocol/byte-views.js';
import { ByteWriter, type ChunkSource } from '../../../src/protocol/byte-writer.js';
import { decodePublishRequest, encodePublishRequest } from '../../../src/protocol/publish-request.js';
import { fuzz } from '../../support/fuzz.js';
import { holds } from '../../support/holds.js';
import { HOSTILE } from '../../support/hostile.js';

type Write = (writer: ByteWriter, value: never) => void;

const WRITES: Readonly<Record<string, Write>> = {
  bytes: (writer, value) => writer.bytes(value),
  raw: (writer, value) => writer.raw(value),
  string: (writer, value) => writer.string(value),
  int64: (writer, value) => writer.int64(value),
};

const hostile = fc.constantFrom(...Object.keys(HOSTILE));
const sound = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.string());

function writeSound(writer: ByteWriter, value: Uint8Array | string): void {
  if (typeof value === 'string') writer.string(value);
  else writer.bytes(value);
}

describe('ByteWriter with values that no message may contain', () => {
  it('leaves its buffer as it was when it throws, and writes on where it stood', () => {
    const step = fc.oneof(
      sound.map((value) => ({ value })),
      fc.record({ write: fc.constantFrom(...Object.keys(WRITES)), what: hostile }),
    );
    holds(
      fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 200 }), (steps, chunk) => {
        const writer = new ByteWriter(chunk);
        const expected = new ByteWriter();
        for (const each of steps) {
          if ('value' in each) {
            writeSound(writer, each.value);
            writeSound(expected, each.value);
            continue;
          }
          const before = writer.length;
          try {
            WRITES[each.write]!(writer, HOSTILE[each.what]!() as never);
          } catch {
            expect(writer.length).toBe(before);
          }
          // What was written all the same is undone as a message that fails half-way is.
          writer.truncate(before);
        }
        expect(writer.length).toBe(expected.length);
        expect(writer.take().equals(expected.take())).toBe(true);
      }),
      fuzz(),
    );
  });

  it('writes the bytes themselves, also when their length property is wrong', () => {
    for (const what of ['bytes of undefined length', 'bytes of another length', 'bytes of a class of their own']) {
      const writer = new ByteWriter();
      writer.bytes(HOSTILE[what]!() as Uint8Array);
      writer.string('next');
      expect([what, writer.length]).toEqual([what, 1 + 5 + 1 + 4]);
    }
  });

  it('is as it was when there is no memory', () => {
    let left = 1;
    const source: ChunkSource = {
      chunkSize: 32,
      allocate: (size) => {
        if (left-- === 0) throw new RangeError('Array buffer allocation failed');
        return Buffer.alloc(size);
      },
      leave: () => undefined,
    };
    const writer = new ByteWriter(source);
    writer.string('abc');
    for (const write of Object.values({
      bytes: () => writer.bytes(Buffer.alloc(100)),
      string: () => writer.string('x'.repeat(100)),
      raw: () => writer.raw(Buffer.alloc(100)),
    })) {
      left = 0;
      expect(write).toThrow(RangeError);
      expect(writer.length).toBe(4);
    }
    expect(writer.take().toString('latin1')).toBe('\u0003abc');
  });
});

describe('a publish request of hostile bytes', () => {
  it('contains the bytes, and does not change the next one', () => {
    const content = fc.constantFrom(
      'bytes of undefined length',
      'bytes of another length',
      'bytes of a class of their own',
    );
    holds(
      fc.property(content, fc.string({ unit: 'grapheme', minLength: 1 }), (what, next) => {
        const writer = new ByteWriter(64);
        for (const value of [HOSTILE[what]!() as Uint8Array, Buffer.from(next)]) {
          const fields = { key: value, value, headers: [['h', value] as const] };
          const rest = {
            stream: 's',
            partition: 0,
            ackInbox: '',
            correlationId: '1',
            ackPolicy: 0 as const,
            expectedOffset: -1n,
          };
          encodePublishRequest(writer, { ...fields, ...rest });
          const request = decodePublishRequest(writer.take());
          expect(request).toMatchObject({ stream: 's', correlationId: '1', expectedOffset: -1n });
          for (const part of [request.key, request.value, request.headers.get('h')!])
            expect(Buffer.from(part).equals(copyOf(value))).toBe(true);
        }
      }),
      fuzz(50),
    );
  });
});

describe('byteCount, plainView and copyOf', () => {
  it.each(Object.keys(HOSTILE))('%s: throw TypeError, or return the value', (what) => {
    const value = HOSTILE[what]!() as Uint8Array;
    for (const look of [byteCount, plainView, copyOf]) {
      try {
        const answer = look(value);
        expect(typeof answer === 'number' ? answer : answer.length).toBeLessThan(100);
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
      }
    }
  });
});
