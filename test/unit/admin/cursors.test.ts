import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cursorPartition } from '../../../src/admin/cursor-stream.js';

interface CursorVector {
  readonly cursorId: string;
  readonly stream: string;
  readonly partition: number;
  readonly cursorsPartition: Readonly<Record<string, number>>;
}

const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

const check = (vectors: readonly CursorVector[]): number => {
  let compared = 0;
  for (const { cursorId, stream, partition, cursorsPartition } of vectors)
    for (const [partitions, expected] of Object.entries(cursorsPartition)) {
      expect(cursorPartition(cursorId, stream, partition, Number(partitions))).toBe(expected);
      compared++;
    }
  return compared;
};

describe('cursorPartition', () => {
  it('puts cursors where every other client and the server put them', () => {
    expect(check(read('test/fixtures/cursors.json') as CursorVector[])).toBe(84);
  });

  const shared = '../shared/vectors/cursors.json';
  it.skipIf(!existsSync(shared))('agrees with all shared vectors (skipped when they are not there)', () => {
    expect(check((read(shared) as { cursors: CursorVector[] }).cursors)).toBeGreaterThan(900);
  });
});
