import { BinaryWriter } from '@bufbuild/protobuf/wire';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { holds } from '../../support/holds.js';
import { bytes, int32, int64, text } from './wire-arbitraries.js';

type Step =
  | { readonly kind: 'int64'; readonly value: bigint }
  | { readonly kind: 'int32'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array };

const step: fc.Arbitrary<Step> = fc.oneof(
  int64.map((value) => ({ kind: 'int64' as const, value })),
  int32.map((value) => ({ kind: 'int32' as const, value })),
  text.map((value) => ({ kind: 'string' as const, value })),
  bytes.map((value) => ({ kind: 'bytes' as const, value })),
);
const steps = fc.array(step, { maxLength: 12, size: 'max' });

function write(writer: ByteWriter, { kind, value }: Step): void {
  if (kind === 'int64') writer.int64(value);
  else if (kind === 'int32') writer.int32(value);
  else if (kind === 'string') writer.string(value);
  else writer.bytes(value);
}

function reference(list: readonly Step[]): Buffer {
  const writer = new BinaryWriter();
  for (const { kind, value } of list) {
    if (kind === 'int64') writer.int64(value);
    else if (kind === 'int32') writer.int32(value);
    else if (kind === 'string') writer.string(value);
    else writer.bytes(value);
  }
  return Buffer.from(writer.finish());
}

describe('ByteWriter', () => {
  it('writes what the reference writer writes, from any chunk size', () => {
    holds(
      fc.property(steps, fc.integer({ min: 1, max: 300 }), (list, chunk) => {
        const writer = new ByteWriter(chunk);
        for (const one of list) write(writer, one);
        const expected = reference(list);
        expect(writer.length).toBe(expected.length);
        expect(writer.take().equals(expected)).toBe(true);
        expect(writer.length).toBe(0);
      }),
    );
  });

  it('never touches again what it handed out', () => {
    holds(
      fc.property(fc.array(steps, { maxLength: 5 }), fc.integer({ min: 1, max: 300 }), (lists, chunk) => {
        const writer = new ByteWriter(chunk);
        const taken = lists.map((list) => {
          for (const one of list) write(writer, one);
          return writer.take();
        });
        lists.forEach((list, i) => {
          expect(taken[i]?.equals(reference(list))).toBe(true);
        });
      }),
    );
  });

  it('writes parts within parts, with their lengths before them', () => {
    holds(
      fc.property(steps, steps, steps, fc.integer({ min: 1, max: 300 }), (before, inner, after, chunk) => {
        const writer = new ByteWriter(chunk);
        const word = writer.openWord();
        const part = writer.openPart();
        for (const one of before) write(writer, one);
        const nested = writer.openPart();
        for (const one of inner) write(writer, one);
        writer.closePart(nested);
        for (const one of after) write(writer, one);
        writer.closePart(part);
        writer.closeWord(word);
        const middle = new BinaryWriter().bytes(reference(inner)).finish();
        const outer = new BinaryWriter().bytes(Buffer.concat([reference(before), middle, reference(after)])).finish();
        const size = Buffer.alloc(4);
        size.writeUInt32BE(outer.length);
        expect(writer.take().equals(Buffer.concat([size, outer]))).toBe(true);
      }),
    );
  });

  it('forgets what stands behind a truncation', () => {
    holds(
      fc.property(steps, steps, steps, (kept, dropped, added) => {
        const writer = new ByteWriter(16);
        for (const one of kept) write(writer, one);
        const { length } = writer;
        for (const one of dropped) write(writer, one);
        writer.truncate(length);
        for (const one of added) write(writer, one);
        expect(writer.take().equals(reference([...kept, ...added]))).toBe(true);
      }),
    );
  });

  it('writes lone surrogates as U+FFFD, as UTF-8 wants it', () => {
    const writer = new ByteWriter();
    writer.string('a\ud800b');
    expect(writer.take()).toEqual(Buffer.from([5, 0x61, 0xef, 0xbf, 0xbd, 0x62]));
  });
});
