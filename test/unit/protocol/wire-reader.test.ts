import { BinaryReader } from '@bufbuild/protobuf/wire';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/protocol/byte-writer.js';
import { WireError, WireReader } from '../../../src/protocol/wire-reader.js';
import { holds } from '../../support/holds.js';
import { int32, int64, unknownFields } from './wire-arbitraries.js';

function on(bytes: readonly number[] | Uint8Array): WireReader {
  const source = Buffer.from(bytes);
  const reader = new WireReader();
  reader.open(source, 0, source.length);
  return reader;
}

describe('WireReader', () => {
  it('reads back integers of every size', () => {
    holds(
      fc.property(int64, int32, (long, number) => {
        const writer = new ByteWriter();
        writer.int64(long);
        writer.int32(number);
        const reader = on(writer.take());
        expect([reader.int64(), reader.int32()]).toEqual([long, number]);
      }),
    );
  });

  it('reads varints as the reference reader does, padded ones included', () => {
    const varint = fc.tuple(fc.array(fc.integer({ min: 128, max: 255 }), { maxLength: 8 }), fc.nat(127));
    holds(
      fc.property(varint, ([head, last]) => {
        const bytes = Uint8Array.from([...head, last]);
        expect(on(bytes).int64()).toBe(BigInt(new BinaryReader(bytes).int64()));
        expect(on(bytes).int32()).toBe(new BinaryReader(bytes).int32());
      }),
    );
  });

  it('refuses varints of more than 64 bits', () => {
    expect(() => on([...new Array(9).fill(0xff), 2]).varint()).toThrow(WireError);
    expect(() => on(new Array(11).fill(0x80)).varint()).toThrow(WireError);
    expect(on([...new Array(9).fill(0xff), 1]).int64()).toBe(-1n);
  });

  it('skips fields of every wire type, groups included', () => {
    holds(
      fc.property(unknownFields, (bytes) => {
        const reader = on(bytes);
        for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
        expect(reader.position).toBe(bytes.length);
      }),
    );
  });

  it.each([
    ['field number 0', [0x00]],
    ['a field number beyond 29 bits', [0x80, 0x80, 0x80, 0x80, 0x10]],
    ['wire type 6', [0x0e]],
    ['wire type 7', [0x0f]],
    ['an end of group without a group', [0x0c]],
    ['a group without end', [0x0b, 0x10, 1]],
    ['a group that another number ends', [0x0b, 0x14]],
    ['groups nested too deeply', new Array(200).fill(0x0b)],
    ['a fixed64 cut off', [0x09, 1, 2, 3]],
    ['a fixed32 cut off', [0x0d, 1, 2, 3]],
    ['a length beyond the end', [0x0a, 5, 1]],
    ['a length beyond 32 bits', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a length that is negative as an int32', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('refuses %s', (_, bytes) => {
    expect(() => {
      const reader = on(bytes);
      for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
    }).toThrow(WireError);
  });
});
