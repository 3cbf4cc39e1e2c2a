import { describe, expect, it } from 'vitest';
import { held, openLog, range } from './log-fixture.js';

const shape = (log: ReturnType<typeof openLog>['log']) => log.segments.all.map((segment) => segment.count);

describe('segment rolling', () => {
  it('exceeds segmentMaxBytes by one message: 200 makes segments of 3 x 83 bytes', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200 } });
    for (let i = 0; i < 12; i++) add();
    expect(shape(log)).toEqual([3, 3, 3, 3]);
    expect(log.segments.all.map((segment) => segment.size)).toEqual([249, 249, 249, 249]);
  });

  it('depends on the first write of the segment, before an append', async () => {
    const { log, clock, add } = openLog({ config: { segmentMaxAge: 100_000 } });
    add();
    await clock.advance(60_000);
    add();
    await clock.advance(50_000);
    add();
    expect(shape(log)).toEqual([2, 1]);
  });

  it('also happens on a tick and leaves an empty active segment, but never a second one', async () => {
    const { log, clock, add } = openLog({ config: { segmentMaxAge: 100_000, cleanerInterval: 60_000 } });
    add();
    await clock.advance(100_000);
    expect(shape(log)).toEqual([1]);
    await clock.advance(40_000);
    expect(shape(log)).toEqual([1, 0]);
    await clock.advance(500_000);
    expect(shape(log)).toEqual([1, 0]);
  });

  it('never depends on age with segmentMaxAge 0', async () => {
    const { log, clock, add } = openLog({ config: { segmentMaxAge: 0, cleanerInterval: 60_000 } });
    add();
    await clock.advance(3_600_000);
    expect(shape(log)).toEqual([1]);
  });
});

describe('retention', () => {
  const segments = { segmentMaxBytes: 200, cleanerInterval: 1000 };

  it('by messages: a limit of 5 rolls on the first tick and leaves 9 to 11 on the second', async () => {
    const { log, clock, add } = openLog({ config: { ...segments, retentionMaxMessages: 5 } });
    for (let i = 0; i < 12; i++) add();
    await clock.advance(1000);
    expect([shape(log), held(log)]).toEqual([[3, 3, 3, 3, 0], range(0, 11)]);
    await clock.advance(1000);
    expect([shape(log), held(log)]).toEqual([[3, 0], range(9, 11)]);
    expect([log.oldestOffset, log.newestOffset, log.highWatermark]).toEqual([9, 11, 11]);
  });

  it('by bytes: a limit of 500 leaves 6 to 11', async () => {
    const { log, clock, add } = openLog({ config: { ...segments, retentionMaxBytes: 500 } });
    for (let i = 0; i < 12; i++) add();
    await clock.advance(2000);
    expect(held(log)).toEqual(range(6, 11));
  });

  it('with one message a segment a limit of 3 messages leaves 3', async () => {
    const { log, clock, add } = openLog({
      config: { segmentMaxBytes: 1, cleanerInterval: 100, retentionMaxMessages: 3 },
    });
    for (let i = 0; i < 10; i++) add();
    await clock.advance(800);
    expect(held(log)).toEqual([7, 8, 9]);
  });

  it('never deletes the active segment, however large', async () => {
    const { log, clock, add } = openLog({
      config: { retentionMaxMessages: 1, retentionMaxBytes: 1, retentionMaxAge: 500, cleanerInterval: 100 },
    });
    for (let i = 0; i < 10; i++) add();
    await clock.advance(10_000);
    expect(held(log)).toEqual(range(0, 9));
  });

  it('by age depends on the last write of a segment and stops at the first younger one', async () => {
    const { log, clock, add } = openLog({
      config: { segmentMaxBytes: 200, cleanerInterval: 10_000, retentionMaxAge: 50_000 },
    });
    for (let i = 0; i < 3; i++) add();
    await clock.advance(30_000);
    for (let i = 0; i < 6; i++) add();
    await clock.advance(15_000);
    expect(held(log)).toEqual(range(0, 8));
    await clock.advance(15_000);
    expect(held(log)).toEqual(range(3, 8));
  });

  it('that deletes everything keeps the newest offset, and the next message follows it', async () => {
    const { log, clock, add } = openLog({
      config: { retentionMaxAge: 1000, segmentMaxAge: 500, cleanerInterval: 200 },
    });
    for (let i = 0; i < 4; i++) add();
    await clock.advance(3000);
    expect([log.oldestOffset, log.newestOffset, log.highWatermark, log.isEmpty]).toEqual([-1, 3, 3, true]);
    expect(add()).toBe(4);
    expect([log.oldestOffset, held(log)]).toEqual([4, [4]]);
  });

  it('keeps its interval from the opening of the log, independent of messages', async () => {
    const { log, clock, add } = openLog({ config: { cleanerInterval: 100_000, segmentMaxBytes: 1 } });
    await clock.advance(270_000);
    add();
    await clock.advance(20_000);
    expect(shape(log)).toEqual([1]);
    await clock.advance(20_000);
    expect(shape(log)).toEqual([1, 0]);
  });
});

describe('compaction', () => {
  const config = { segmentMaxBytes: 200, cleanerInterval: 1000, compactEnabled: true };

  it('keeps messages without a key and the last message of each key, also counting the active segment', async () => {
    // Entries with a key of one byte have 84 bytes, so a segment holds 3.
    const { log, clock, add } = openLog({ config });
    const keys = ['a', 'b', undefined, 'c'];
    for (let i = 0; i < 12; i++) {
      const key = keys[i % 4];
      add(key === undefined ? {} : { key });
    }
    await clock.advance(2000);
    expect(held(log)).toEqual([2, 6, 8, 9, 10, 11]);
    expect(shape(log)).toEqual([1, 2, 3, 0]);
    for (const offset of range(12, 14)) expect(add()).toBe(offset);
    expect(add({ key: 'a' })).toBe(15);
    await clock.advance(2000);
    expect(held(log)).toEqual([2, 6, 9, 10, ...range(11, 15)]);
    expect(log.newestOffset).toBe(15);
  });

  it('treats an empty key as no key and a tombstone as a value', () => {
    const { log, add } = openLog({ config });
    add({ key: '' });
    add({ key: '' });
    add({ key: 'a', value: 'x' });
    add({ key: 'a', value: '' });
    for (let i = 0; i < 4; i++) add();
    log.clean();
    expect(held(log)).toEqual([0, 1, 3, 4, 5, 6, 7]);
    expect(log.record(3)?.value).toBeNull();
  });

  it('keeps uncommitted messages, and the last committed one of each key', () => {
    const { log, add } = openLog({ config });
    for (let i = 0; i < 9; i++) add({ key: 'a', commit: i <= 4 });
    add({ key: 'a', commit: false });
    log.clean();
    expect(held(log)).toEqual(range(4, 9));
  });

  it('does nothing on a tick that rolled a segment, or with one segment', async () => {
    const { log, clock, add } = openLog({ config });
    for (let i = 0; i < 3; i++) add({ key: 'a' });
    await clock.advance(1000);
    expect(held(log)).toEqual([0, 1, 2]);
    await clock.advance(1000);
    expect(held(log)).toEqual([2]);
  });

  it('recalculates the entry sizes', () => {
    const { log, add } = openLog({ config });
    for (let i = 0; i < 4; i++) add({ key: 'a' });
    add({ key: 'b' });
    add({ key: 'c' });
    add();
    log.clean();
    expect(log.segments.all.map((segment) => [segment.baseOffset, segment.count, segment.size])).toEqual([
      [3, 3, 252],
      [6, 1, 83],
    ]);
  });
});
