import { expect, it } from 'vitest';
import { definitionOf } from '../../src/cluster/unary-calls.js';

it('an answer that is decoded at one go has at most 16 MiB', () => {
  const { decode } = definitionOf('fetchPartitionMetadata');
  // Unknown fields of one byte each: tag 15, varint.
  const answer = (size: number): Buffer => Buffer.alloc(size, Buffer.from([0x78, 0]));
  expect(decode(answer(1024))).toEqual({});
  expect(() => decode(answer(16 * 1024 * 1024 + 2))).toThrow('the answer has 16777218 bytes, more than 16777216');
});
