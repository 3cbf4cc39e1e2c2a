import { describe, expect, it } from 'vitest';
import { LogError } from '../../src/log/log-error.js';
import { openLog } from './log-fixture.js';

const EOF = new LogError('failed to find log segment for timestamp: EOF');
const BEFORE = new LogError('timestamp is before the beginning of the log');

/** A log with a message at 1000, 1010, 1020, ... */
function timed(count: number, options: Parameters<typeof openLog>[0] = {}) {
  const fixture = openLog(options);
  for (let i = 0; i < count; i++) fixture.add({ timestamp: at(i) });
  return fixture;
}
const at = (offset: number) => 1000n + BigInt(offset) * 10n;

describe('PartitionLog.startOffsetForTimestamp', () => {
  it.each([
    [0n, 0],
    [-1n, 0],
    [at(3), 3],
    [at(3) - 1n, 3],
    [at(3) + 1n, 4],
    [at(9), 9],
    [at(9) + 1n, 10],
  ])('of %d is %d in a log with one segment', (time, offset) => {
    expect(timed(10).log.startOffsetForTimestamp(time)).toBe(offset);
  });

  const inSegments = (size: number, timestampLookup = true) =>
    timed(20, { config: { segmentMaxBytes: 83 * size - 82, segmentMaxAge: 0 }, quirks: { timestampLookup } });

  it.each([1, 2, 3, 4, 5, 7])('finds every message over segments of %d', (size) => {
    const { log } = inSegments(size);
    const { baseOffset, count } = log.segments.active;
    expect(count).toBeGreaterThan(0);
    for (let i = 0; i < 20; i++) {
      expect(log.startOffsetForTimestamp(at(i))).toBe(i);
      // The server finds nothing for a time in the gap before the last segment.
      expect(log.startOffsetForTimestamp(at(i) + 1n)).toBe(i + 1 === baseOffset ? 20 : i + 1);
    }
    expect(log.startOffsetForTimestamp(0n)).toBe(0);
  });

  it.each([1, 2, 3, 4, 5, 7])('finds the gap before the last segment of %d without the quirk', (size) => {
    const { log } = inSegments(size, false);
    for (let i = 0; i < 20; i++) expect(log.startOffsetForTimestamp(at(i) + 1n)).toBe(i + 1);
  });

  it('of a time before the only segment is the offset of its first message', () => {
    const { log } = timed(3);
    expect(log.startOffsetForTimestamp(at(0) - 1n)).toBe(0);
  });

  it('is the next offset in an empty log', () => {
    expect(openLog().log.startOffsetForTimestamp(5n)).toBe(0);
  });

  it('of a time that several messages share is the offset of the first one', () => {
    const { log, add } = openLog();
    for (let i = 0; i < 4; i++) add({ timestamp: 7n });
    expect(log.startOffsetForTimestamp(7n)).toBe(0);
  });
});

describe('PartitionLog.stopOffsetForTimestamp', () => {
  it.each([
    [at(0), 0],
    [at(3), 3],
    [at(3) + 1n, 3],
    [at(3) - 1n, 2],
    [at(100), 9],
  ])('of %d is %d in a log with one segment', (time, offset) => {
    expect(timed(10).log.stopOffsetForTimestamp(time)).toBe(offset);
  });

  it('throws for a time before the first message and for an empty log', () => {
    const { log } = timed(3);
    expect(() => log.stopOffsetForTimestamp(at(0) - 1n)).toThrow(BEFORE);
    expect(() => log.stopOffsetForTimestamp(0n)).toThrow(BEFORE);
    expect(() => openLog().log.stopOffsetForTimestamp(5n)).toThrow(EOF);
  });

  it('finds every message over several segments', () => {
    const { log } = timed(20, { config: { segmentMaxBytes: 200, segmentMaxAge: 0 } });
    for (let i = 0; i < 20; i++) {
      expect(log.stopOffsetForTimestamp(at(i))).toBe(i);
      expect(log.stopOffsetForTimestamp(at(i) + 1n)).toBe(i);
    }
  });
});

describe('a timestamp lookup that reaches the empty active segment', () => {
  /** Segments of 3 messages, and an empty active one. */
  function rolled(segments: number, timestampLookup = true) {
    const config = { segmentMaxBytes: 200, segmentMaxAge: 0 };
    const { log } = timed(3 * segments, { config, quirks: { timestampLookup } });
    log.clean();
    expect(log.segments.active.count).toBe(0);
    return log;
  }

  it('always fails with two segments', () => {
    const log = rolled(1);
    for (const time of [0n, at(0), at(1), at(100)]) {
      expect(log.startOffsetForTimestamp(time)).toBe(3);
      expect(() => log.stopOffsetForTimestamp(time)).toThrow(EOF);
    }
  });

  it.each([2, 3, 4, 5])('fails with %d full segments, from the first time of the middle segment', (full) => {
    const log = rolled(full);
    const middle = 3 * Math.floor((full + 1) / 2);
    expect(log.startOffsetForTimestamp(at(middle) - 1n)).toBe(middle);
    expect(log.stopOffsetForTimestamp(at(middle) - 1n)).toBe(middle - 1);
    expect(log.startOffsetForTimestamp(at(middle))).toBe(3 * full);
    expect(() => log.stopOffsetForTimestamp(at(middle))).toThrow(EOF);
  });

  it('finds everything without the quirk', () => {
    const log = rolled(3, false);
    for (let i = 0; i < 9; i++) {
      expect(log.startOffsetForTimestamp(at(i))).toBe(i);
      expect(log.stopOffsetForTimestamp(at(i))).toBe(i);
    }
    expect(log.startOffsetForTimestamp(at(9))).toBe(9);
    expect(log.stopOffsetForTimestamp(at(9))).toBe(8);
    expect(() => log.stopOffsetForTimestamp(0n)).toThrow(BEFORE);
    expect(() => openLog({ quirks: { timestampLookup: false } }).log.stopOffsetForTimestamp(0n)).toThrow(EOF);
  });

  it('fails on a log that has expired', async () => {
    const { log, clock, add } = openLog({
      config: { retentionMaxAge: 1000, segmentMaxAge: 500, cleanerInterval: 200 },
    });
    add();
    await clock.advance(3000);
    expect(log.startOffsetForTimestamp(0n)).toBe(1);
    expect(() => log.stopOffsetForTimestamp(clock.nanos())).toThrow(EOF);
  });
});

describe('a timestamp lookup on a paused partition', () => {
  it('throws for start and stop', () => {
    const { log } = timed(3);
    log.close();
    const closed = new LogError('failed to find log segment for timestamp: segment has been closed');
    expect(() => log.startOffsetForTimestamp(at(1))).toThrow(closed);
    expect(() => log.stopOffsetForTimestamp(at(1))).toThrow(closed);
  });
});
