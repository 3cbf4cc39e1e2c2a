import { describe, expect, it } from 'vitest';
import { ForwardReader } from '../../src/log/forward-reader.js';
import { LogError } from '../../src/log/log-error.js';
import { ReverseReader } from '../../src/log/reverse-reader.js';
import { type Fixture, offsets, openLog, range } from './log-fixture.js';

const ALL = 64 * 1024 * 1024;
const OVERTAKEN = new LogError('failed to read message headers: segment has been closed');
const CLOSED = new LogError('commit log was closed');

function filled(count: number, options: Parameters<typeof openLog>[0] = {}): Fixture {
  const fixture = openLog(options);
  for (let i = 0; i < count; i++) fixture.add();
  return fixture;
}

/** The offsets of all messages that the reader can currently deliver. */
function drain(reader: ForwardReader, maxBytes = ALL): number[] {
  const seen: number[] = [];
  for (let read = reader.read(maxBytes); read.count > 0; read = reader.read(maxBytes)) {
    seen.push(...offsets(read.frames));
    expect(read.last).toBe(seen[seen.length - 1]);
    if (read.stopped) break;
  }
  return seen;
}

/** The offsets that the reader delivers, and the reason for its end. */
function backwards(reader: ReverseReader, maxBytes = ALL): [number[], string] {
  const seen: number[] = [];
  for (;;) {
    const read = reader.read(maxBytes);
    seen.push(...offsets(read.frames));
    if (read.stopped) return [seen, 'stopped'];
    if (read.ended) return [seen, 'ended'];
  }
}

describe('ForwardReader', () => {
  it('begins at its start offset and continues when the high watermark moves', () => {
    const { log, add } = filled(10);
    const reader = new ForwardReader(log, 4);
    expect(drain(reader)).toEqual(range(4, 9));
    add({ commit: false });
    expect(drain(reader)).toEqual([]);
    add();
    expect(drain(reader)).toEqual([10, 11]);
  });

  it('delivers one message per read when no more fit', () => {
    const { log } = filled(5);
    expect(drain(new ForwardReader(log, 0), 1)).toEqual(range(0, 4));
  });

  it.each([3, 50])('with start offset %d above high watermark 2 delivers the next committed messages', (start) => {
    const { log, add } = filled(3);
    const reader = new ForwardReader(log, start);
    expect(drain(reader)).toEqual([]);
    add();
    add();
    expect(drain(reader)).toEqual([3, 4]);
  });

  it('that waits delivers messages that were appended earlier and are committed later', () => {
    const { log, add } = filled(2);
    add({ commit: false });
    add({ commit: false });
    const reader = new ForwardReader(log, 4);
    log.setHighWatermark(2);
    expect(drain(reader)).toEqual([2]);
    log.setHighWatermark(3);
    expect(drain(reader)).toEqual([3]);
  });

  it('begins at the first message that retention kept', () => {
    const { log } = filled(12, { config: { segmentMaxBytes: 200, retentionMaxMessages: 5 } });
    log.clean();
    log.clean();
    expect(drain(new ForwardReader(log, 0))).toEqual([9, 10, 11]);
    expect(drain(new ForwardReader(log, 8))).toEqual([9, 10, 11]);
  });

  it('waits in a log whose messages are all deleted', async () => {
    const { log, clock, add } = filled(4, {
      config: { retentionMaxAge: 1000, segmentMaxAge: 500, cleanerInterval: 200 },
    });
    await clock.advance(3000);
    const reader = new ForwardReader(log, 0, 3);
    expect(drain(reader)).toEqual([]);
    add();
    expect(drain(reader)).toEqual([4]);
  });

  it('reports its stop offset with the message at that offset', () => {
    const { log } = filled(10);
    const reader = new ForwardReader(log, 2, 5);
    const read = reader.read(ALL);
    expect([offsets(read.frames), read.stopped]).toEqual([[2, 3, 4, 5], true]);
    expect(new ForwardReader(log, 2, 9).read(ALL)).toMatchObject({ count: 8, stopped: true });
    expect(new ForwardReader(log, 2).read(ALL)).toMatchObject({ count: 8, stopped: false });
  });

  it('waits for a stop offset that does not exist yet', () => {
    const { log, add } = filled(2);
    const reader = new ForwardReader(log, 0, 3);
    expect(reader.read(ALL)).toMatchObject({ count: 2, stopped: false });
    for (let i = 0; i < 3; i++) add();
    expect(reader.read(ALL)).toMatchObject({ count: 2, last: 3, stopped: true });
  });

  it('never stops at an offset that no longer exists, and delivers the following messages', () => {
    const retained = filled(12, { config: { segmentMaxBytes: 200, retentionMaxMessages: 5 } });
    retained.log.clean();
    retained.log.clean();
    expect(drain(new ForwardReader(retained.log, 0, 3))).toEqual([9, 10, 11]);

    const { log, add } = openLog({ config: { segmentMaxBytes: 200, compactEnabled: true } });
    for (const key of ['x', 'a', 'b', 'a', 'c', 'd', 'e']) add({ key });
    log.clean();
    expect(drain(new ForwardReader(log, 0, 1))).toEqual([0, 2, 3, 4, 5, 6]);
  });

  it('throws when retention removed the segment that it has partly read', () => {
    const { log, add } = filled(6, { config: { segmentMaxBytes: 200, retentionMaxMessages: 3 } });
    const reader = new ForwardReader(log, 0);
    expect(reader.read(1)).toMatchObject({ last: 0 });
    add();
    log.clean();
    expect(log.oldestOffset).toBe(6);
    expect(() => reader.read(ALL)).toThrow(OVERTAKEN);
  });

  it('throws for a removed segment that it has read to the end, once there are more messages', () => {
    const { log, add } = filled(3, { config: { segmentMaxBytes: 200, retentionMaxMessages: 1 } });
    const reader = new ForwardReader(log, 0);
    expect(drain(reader)).toEqual([0, 1, 2]);
    log.clean();
    log.clean();
    expect(drain(reader)).toEqual([]);
    add();
    expect(() => reader.read(ALL)).toThrow(OVERTAKEN);
  });

  it('continues at its position after compaction', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200, compactEnabled: true } });
    for (const key of ['a', 'b', 'a', 'b', 'a', 'b', 'a']) add({ key });
    const reader = new ForwardReader(log, 0);
    expect(reader.read(1)).toMatchObject({ last: 0 });
    log.clean();
    expect(drain(reader)).toEqual([5, 6]);
  });

  it('ends when it has read all of a readonly log', () => {
    const { log, add } = filled(3);
    add({ commit: false });
    const reader = new ForwardReader(log, 0);
    const waiting = new ForwardReader(log, 50);
    log.readonly = true;
    drain(reader);
    expect([reader.ended, waiting.ended]).toEqual([false, false]);
    log.setHighWatermark(3);
    expect([reader.ended, waiting.ended]).toEqual([false, false]);
    expect([drain(reader), drain(waiting)]).toEqual([[3], [3]]);
    expect([reader.ended, waiting.ended]).toEqual([true, true]);
    log.readonly = false;
    expect(reader.ended).toBe(false);
  });

  it('ends in a readonly log without messages', () => {
    const { log } = openLog();
    const reader = new ForwardReader(log, 0);
    expect(reader.ended).toBe(false);
    log.readonly = true;
    expect(reader.ended).toBe(true);
  });

  it('throws when the log is closed or deleted', () => {
    const { log } = filled(3);
    const reader = new ForwardReader(log, 0);
    log.close();
    expect(() => reader.read(ALL)).toThrow(CLOSED);
    log.delete();
    expect(() => reader.read(ALL)).toThrow(new LogError('commit log was deleted'));
  });

  it('of a closed log cannot be created for a start offset within the log, and otherwise fails on the first read', () => {
    const { log } = filled(3);
    log.close();
    for (const start of [0, 2]) {
      expect(() => new ForwardReader(log, start)).toThrow(new LogError('segment has been closed'));
    }
    expect(() => new ForwardReader(log, 3).read(ALL)).toThrow(CLOSED);
  });
});

describe('ReverseReader', () => {
  it.each([
    [9, -1, range(0, 9), 'ended'],
    [10, -1, range(0, 9), 'ended'],
    [50, -1, range(0, 9), 'ended'],
    [0, -1, [0], 'ended'],
    [4, -1, range(0, 4), 'ended'],
    [9, 9, [9], 'stopped'],
    [9, 5, range(5, 9), 'stopped'],
    [4, 9, range(0, 4), 'ended'],
    [20, 20, range(0, 9), 'ended'],
  ])('from %d with stop %d over 0..9 delivers %j and is %s', (start, stop, expected, end) => {
    for (const segmentMaxBytes of [1, 200, 0]) {
      const { log } = filled(10, { config: { segmentMaxBytes } });
      expect(backwards(new ReverseReader(log, start, stop))).toEqual([expected.toReversed(), end]);
      expect(backwards(new ReverseReader(log, start, stop), 1)).toEqual([expected.toReversed(), end]);
    }
  });

  it('throws when nothing was committed', () => {
    const { log, add } = openLog();
    expect(() => new ReverseReader(log, 0)).toThrow(new LogError('segment not found'));
    add({ commit: false });
    expect(() => new ReverseReader(log, 0)).toThrow(new LogError('segment not found'));
  });

  it('begins no later than the high watermark, and delivers no new messages', () => {
    const { log, add } = filled(3);
    add({ commit: false });
    const reader = new ReverseReader(log, 3);
    log.setHighWatermark(3);
    expect(backwards(reader)).toEqual([[2, 1, 0], 'ended']);
  });

  it('delivers nothing below the first remaining message, or in an empty log', () => {
    const retained = filled(12, { config: { segmentMaxBytes: 200, retentionMaxMessages: 5 } });
    retained.log.clean();
    retained.log.clean();
    expect(backwards(new ReverseReader(retained.log, 2))).toEqual([[], 'ended']);
    expect(backwards(new ReverseReader(retained.log, 11))).toEqual([[11, 10, 9], 'ended']);

    const expired = filled(3, { config: { segmentMaxBytes: 200, retentionMaxMessages: 1 } });
    expired.log.clean();
    expired.log.clean();
    expect(expired.log.isEmpty).toBe(true);
    expect(backwards(new ReverseReader(expired.log, 2))).toEqual([[], 'ended']);
  });

  it('uses the distance from the base offset as an index in a compacted segment', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200, compactEnabled: true } });
    // Segments 0-2, 3-5, 6-8, 9: the second message of the third segment has a later one with its key.
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'x', 'h', 'x']) add({ key });
    log.clean();
    expect(log.segments.all.map((segment) => [segment.baseOffset, segment.count])).toEqual([
      [0, 3],
      [3, 3],
      [6, 2],
      [9, 1],
    ]);
    expect(backwards(new ReverseReader(log, 7))[0]).toEqual([8, 6, 5, 4, 3, 2, 1, 0]);
    expect(backwards(new ReverseReader(log, 8))[0]).toEqual([5, 4, 3, 2, 1, 0]);
    expect(backwards(new ReverseReader(log, 9))[0]).toEqual([9, 8, 6, 5, 4, 3, 2, 1, 0]);
  });

  it('reads only the segments that existed when it was created', () => {
    const { log, add } = filled(7, { config: { segmentMaxBytes: 200, compactEnabled: true } });
    const reader = new ReverseReader(log, 6);
    expect(offsets(reader.read(1).frames)).toEqual([6]);
    for (let i = 0; i < 5; i++) add();
    expect(backwards(reader)).toEqual([[5, 4, 3, 2, 1, 0], 'ended']);
  });

  it('throws when the log is closed, and when retention removed its segment', () => {
    const { log, add } = filled(6, { config: { segmentMaxBytes: 200, retentionMaxMessages: 1 } });
    const reader = new ReverseReader(log, 5);
    reader.read(1);
    add();
    log.clean();
    expect(() => reader.read(1)).toThrow(OVERTAKEN);
    log.close();
    expect(() => reader.read(1)).toThrow(CLOSED);
    expect(() => new ReverseReader(log, 5).read(1)).toThrow(CLOSED);
  });
});

describe('a log that was truncated below its high watermark', () => {
  it('rejects new readers, and fails readers that have not read everything, until the messages are replicated again', () => {
    const { log, add } = filled(6);
    const reader = new ForwardReader(log, 0);
    reader.read(1);
    const finished = new ForwardReader(log, 5);
    finished.read(1);
    log.truncate(3);
    expect(() => new ForwardReader(log, 1)).toThrow(new LogError('segment not found'));
    expect(() => reader.read(1)).toThrow(new LogError('failed to reinitialize reader: segment not found'));
    expect(finished.read(1).count).toBe(0);
    for (let i = 3; i < 7; i++) add();
    expect(offsets(reader.read(1000).frames)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(offsets(finished.read(1000).frames)).toEqual([6]);
  });
});
