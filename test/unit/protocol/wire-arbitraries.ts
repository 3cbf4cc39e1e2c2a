import { BinaryWriter } from '@bufbuild/protobuf/wire';
import * as fc from 'fast-check';

/** 64-bit integers, the extremes more often than chance has it. */
export const int64 = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 127n, 128n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

/** 32-bit integers, negative ones included. */
export const int32 = fc.oneof(fc.constantFrom(0, 1, -1, 2 ** 31 - 1, -(2 ** 31)), fc.integer());

/** Text of any script, well-formed, also longer than what the codecs treat as short. */
export const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    '__proto__',
    'constructor',
    'ü€😀',
    'x'.repeat(127),
    'x'.repeat(128),
    '€'.repeat(43),
    'x'.repeat(20_000),
  ),
  fc.string({ unit: 'grapheme', maxLength: 60, size: 'max' }),
  fc.string({ unit: 'binary', maxLength: 60, size: 'max' }),
);

/** Bytes, none of them included. */
export const bytes = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc.uint8Array({ maxLength: 300, size: 'max' }),
  fc.integer({ min: 16_380, max: 16_390 }).map((size) => new Uint8Array(size).fill(7)),
);

/** Headers by name. */
export const headers = fc.array(fc.tuple(text, bytes), { maxLength: 5 }).map((entries) => new Map(entries));

/** Bytes of fields that no message of ours has, of every wire type. */
export const unknownFields = fc
  .array(fc.tuple(fc.integer({ min: 100, max: 2 ** 29 - 1 }), fc.integer({ min: 0, max: 4 }), int64, bytes), {
    maxLength: 4,
  })
  .map((fields) => {
    const writer = new BinaryWriter();
    for (const [number, kind, long, part] of fields) {
      if (kind === 0) writer.tag(number, 0).int64(long);
      else if (kind === 1) writer.tag(number, 1).sfixed64(long);
      else if (kind === 2) writer.tag(number, 2).bytes(part);
      else if (kind === 3) writer.tag(number, 3).tag(1, 2).bytes(part).tag(2, 3).tag(2, 4).tag(number, 4);
      else writer.tag(number, 5).sfixed32(Number(BigInt.asIntN(32, long)));
    }
    return Buffer.from(writer.finish());
  });
