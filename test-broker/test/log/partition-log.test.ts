import { wire } from 'liftbridge-client/protocol';
import { describe, expect, it, vi } from 'vitest';
import { MovableClock } from '../../src/clock.js';
import { resolveLogConfig } from '../../src/log/log-config.js';
import { IncorrectOffsetError, LogError, ReadonlyLogError } from '../../src/log/log-error.js';
import { held, messages, offsets, openLog, range, SUBJECT } from './log-fixture.js';

const ALL = Number.MAX_SAFE_INTEGER;

describe('PartitionLog.append', () => {
  it('stores a gRPC message frame of the published message, with subject and reply added', () => {
    const { log, add } = openLog({ stream: 'orders', partition: 3 });
    const headers: [string, Uint8Array][] = [
      ['trace', Buffer.from('t1')],
      ['subject', Buffer.from('mine')],
      ['reply', Buffer.from('mine')],
    ];
    add({ key: 'k', value: 'v', headers, subject: 'orders.3', reply: 'inbox', timestamp: 1_700_000_000_123_456_789n });
    const [frame] = log.read(0, 0, ALL).frames;
    expect(frame?.[0]).toBe(0);
    expect(frame?.readUInt32BE(1)).toBe(frame!.length - 5);
    const message = wire.Message.decode(frame!.subarray(5));
    expect({ ...message, headers: [...message.headers].map(([name, value]) => [name, String(value)]) }).toEqual({
      offset: 0n,
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      timestamp: 1_700_000_000_123_456_789n,
      stream: 'orders',
      partition: 3,
      subject: 'orders.3',
      replySubject: 'inbox',
      headers: [
        ['trace', 't1'],
        ['subject', 'orders.3'],
        ['reply', 'inbox'],
      ],
      ackInbox: '',
      correlationId: '',
      ackPolicy: 0,
    });
  });

  it('counts an entry with a subject of 11 characters and a value of 4 bytes as 83 bytes', () => {
    const { log, add } = openLog();
    add();
    expect(log.segments.active.size).toBe(83);
  });

  it('assigns offsets from 0 and does not change the high watermark', () => {
    const { log, add } = openLog();
    expect([log.oldestOffset, log.newestOffset, log.nextOffset, log.highWatermark, log.isEmpty]).toEqual([
      -1,
      -1,
      0,
      -1,
      true,
    ]);
    expect([add({ commit: false }), add({ commit: false })]).toEqual([0, 1]);
    expect([log.oldestOffset, log.newestOffset, log.nextOffset, log.highWatermark, log.isEmpty]).toEqual([
      0,
      1,
      2,
      -1,
      false,
    ]);
  });

  it('ignores the expected offset without concurrency control', () => {
    expect(openLog().add({ expectedOffset: 17n })).toBe(0);
  });

  it('accepts only the next offset, or -1, as the expected offset with concurrency control', () => {
    const { log, add } = openLog({ config: { concurrencyControl: true } });
    expect(() => add({ expectedOffset: -2n })).toThrow(IncorrectOffsetError);
    expect(add({ expectedOffset: 0n })).toBe(0);
    expect(() => add({ expectedOffset: 0n })).toThrow(new IncorrectOffsetError(0n, 1));
    expect(add({ expectedOffset: -1n })).toBe(1);
    expect(add({ expectedOffset: 2n })).toBe(2);
    expect(log.nextOffset).toBe(3);
  });

  it('rolls a full segment even if it rejects the message', () => {
    const { log, add } = openLog({ config: { concurrencyControl: true, segmentMaxBytes: 1 } });
    add({ expectedOffset: 0n });
    expect(log.segments.all).toHaveLength(1);
    expect(() => add({ expectedOffset: 0n })).toThrow(IncorrectOffsetError);
    expect(log.segments.all.map(({ baseOffset }) => baseOffset)).toEqual([0, 1]);
    expect([log.newestOffset, log.nextOffset]).toEqual([0, 1]);
  });

  it('throws ReadonlyLogError while the log is readonly', () => {
    const { log, add } = openLog();
    log.readonly = true;
    expect(() => add()).toThrow(ReadonlyLogError);
    log.readonly = false;
    expect(add()).toBe(0);
  });

  it('never changes bytes that it returned', () => {
    const { log, add } = openLog();
    for (let i = 0; i < 5; i++) add({ value: `value ${i}`, commit: false });
    const before = log.read(0, 4, ALL).frames;
    const copies = before.map((frame) => Buffer.from(frame));
    log.truncate(2);
    for (let i = 0; i < 300; i++) add({ value: 'x'.repeat(i) });
    expect(before.map((frame, i) => frame.equals(copies[i]!))).toEqual(before.map(() => true));
  });
});

describe('PartitionLog.read', () => {
  it('returns one batch with as many frames as fit', () => {
    const { log, add } = openLog();
    for (let i = 0; i < 8; i++) add();
    const one = log.read(2, 2, ALL).frames[0]!.length;
    expect(log.read(2, 7, 3 * one)).toMatchObject({ count: 3, last: 4, next: 5 });
    expect(log.read(0, 4, ALL)).toMatchObject({ count: 5, next: 5 });
    expect(offsets(log.read(2, 5, ALL).frames)).toEqual([2, 3, 4, 5]);
    expect(log.read(2, 5, ALL).frames).toHaveLength(1);
  });

  it('returns at least one message if there is one, however large', () => {
    const { log, add } = openLog();
    add({ value: 'x'.repeat(3_000_000) });
    add();
    expect(log.read(0, 1, 1)).toMatchObject({ count: 1, next: 1 });
  });

  it('continues over the ends of segments and over gaps', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200, compactEnabled: true } });
    for (const key of ['a', 'a', 'a', 'b', 'b', 'a', 'c']) add({ key });
    expect(offsets(log.read(0, 6, ALL).frames)).toEqual(range(0, 6));
    log.clean();
    expect(offsets(log.read(0, 6, ALL).frames)).toEqual([4, 5, 6]);
    expect(log.read(0, 3, ALL)).toMatchObject({ frames: [], count: 0, last: -1, next: 4 });
  });

  it('returns nothing after the newest message', () => {
    const { log, add } = openLog();
    expect(log.read(0, 100, ALL)).toMatchObject({ count: 0, next: 0 });
    add();
    expect(log.read(1, 100, ALL)).toMatchObject({ count: 0, next: 1 });
  });

  it('throws on a closed log', () => {
    const { log, add } = openLog();
    add();
    log.close();
    expect(() => log.read(0, 0, ALL)).toThrow(new LogError('segment has been closed'));
  });
});

describe('PartitionLog.setHighWatermark', () => {
  it('only moves forward, and not beyond the newest offset', () => {
    const { log, add } = openLog();
    for (let i = 0; i < 4; i++) add({ commit: false });
    expect(log.setHighWatermark(2)).toBe(true);
    expect(log.setHighWatermark(1)).toBe(false);
    expect(log.highWatermark).toBe(2);
    expect(log.setHighWatermark(100)).toBe(true);
    expect(log.highWatermark).toBe(3);
  });
});

describe('PartitionLog.onChange', () => {
  it('notifies synchronously of changes of the high watermark, readonly, close, reopen and delete, but not of appends', () => {
    const { log, add } = openLog();
    const seen: string[] = [];
    const appended: number[] = [];
    const stop = log.onChange((change) => seen.push(`${change} ${log.state}`));
    log.onAppend((offset) => appended.push(offset));
    add({ commit: false });
    expect(seen).toEqual([]);
    log.setHighWatermark(0);
    log.readonly = true;
    log.readonly = true;
    log.close();
    log.reopen();
    log.delete();
    expect(seen).toEqual(['high-watermark open', 'readonly open', 'closed closed', 'reopened open', 'deleted deleted']);
    expect(appended).toEqual([0]);
    stop();
  });

  it('does not notify a listener that another listener has just added or removed', () => {
    const { log, add } = openLog();
    const seen: string[] = [];
    const again = () => {
      seen.push('first');
      stopFirst();
      stopLast();
      stopFirst = log.onChange(again);
    };
    let stopFirst = log.onChange(again);
    const stopLast = log.onChange(() => seen.push('last'));
    add();
    expect(seen).toEqual(['first']);
    add();
    expect(seen).toEqual(['first', 'first']);
  });
});

describe('PartitionLog.close', () => {
  it('keeps messages and offsets for reopen, which resets readonly', () => {
    const { log, add } = openLog();
    add();
    add();
    log.readonly = true;
    log.close();
    expect(() => add()).toThrow(new LogError('commit log was closed'));
    log.reopen();
    expect(log.readonly).toBe(false);
    expect(add()).toBe(2);
    expect(offsets(log.read(0, 2, ALL).frames)).toEqual([0, 1, 2]);
  });

  it('stops the cleaner, whose first tick after reopen comes one interval later', async () => {
    const config = { cleanerInterval: 100_000, segmentMaxBytes: 1, retentionMaxMessages: 1 };
    const { log, clock, add } = openLog({ config });
    add();
    add();
    log.close();
    await clock.advance(550_000);
    expect(held(log)).toEqual([0, 1]);
    log.reopen();
    await clock.advance(80_000);
    expect(log.segments.active.count).toBe(1);
    await clock.advance(30_000);
    expect(log.segments.active.count).toBe(0);
  });
});

describe('PartitionLog.delete', () => {
  it('drops the messages and rejects every call except a second delete', () => {
    const { log, add } = openLog();
    add();
    log.delete();
    log.delete();
    expect(log.isEmpty).toBe(true);
    expect(() => add()).toThrow(new LogError('commit log was deleted'));
    expect(() => log.reopen()).toThrow(new LogError('commit log was deleted'));
    expect(held(log)).toEqual([]);
  });
});

describe('PartitionLog.record', () => {
  it('decodes a stored message, and returns null for a missing one', () => {
    const { log, add } = openLog();
    add({ key: 'k', value: 'v', headers: [['h', Buffer.from('1')]], reply: 'r' });
    const record = log.record(0);
    expect([String(record?.key), String(record?.value), record?.subject, record?.reply]).toEqual([
      'k',
      'v',
      SUBJECT,
      'r',
    ]);
    expect([...record!.headers.keys()]).toEqual(['h', 'subject', 'reply']);
    expect([log.record(-1), log.record(1)]).toEqual([null, null]);
  });

  it('decodes the messages of records and recordsBackwards', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200 } });
    for (let i = 0; i < 8; i++) add();
    expect([...log.records(2, 5)].map((record) => record.offset)).toEqual([2, 3, 4, 5]);
    expect([...log.recordsBackwards(5)].map((record) => record.offset)).toEqual([5, 4, 3, 2, 1, 0]);
    expect([...log.recordsBackwards()].map((record) => record.offset)).toEqual(range(0, 7).reverse());
  });
});

describe('PartitionLog', () => {
  it('uses no memory for an empty log and little more than the stored bytes for many messages', () => {
    const { log, add } = openLog();
    expect(log.memory).toBe(0);
    add();
    expect(log.memory).toBeLessThan(2048);
    for (let i = 0; i < 20_000; i++) add({ value: 'x'.repeat(256) });
    const stored = log.read(0, log.newestOffset, ALL).frames.reduce((sum, frame) => sum + frame.length, 0);
    expect(log.memory / stored).toBeLessThan(1.25);
  });

  it('frees spare memory when a segment is full', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 1 } });
    for (let i = 0; i < 100; i++) add();
    const stored = messages(log.read(0, 99, ALL).frames).length;
    expect(log.memory / stored).toBeLessThan(200);
  });

  it('sets no timer before the first message', () => {
    const clock = new MovableClock();
    const after = vi.spyOn(clock, 'after');
    const { add } = openLog({}, clock);
    expect(after).not.toHaveBeenCalled();
    add();
    // One timer of the cleaner, one of the checkpoint.
    expect(after).toHaveBeenCalledTimes(2);
  });
});

describe('resolveLogConfig', () => {
  it('replaces 0 with the defaults that the server uses', () => {
    expect(resolveLogConfig({ cleanerInterval: 0, segmentMaxBytes: 0, segmentMaxAge: 0 })).toMatchObject({
      cleanerInterval: 300_000,
      segmentMaxBytes: 1_073_741_824,
      segmentMaxAge: 0,
      retentionMaxAge: 604_800_000,
    });
  });

  it('rejects values that crash the server', () => {
    expect(() => resolveLogConfig({ cleanerInterval: -1 })).toThrow(
      'expected cleanerInterval to be at least 0, got -1',
    );
    expect(() => resolveLogConfig({ segmentMaxBytes: -1 })).toThrow(
      'expected segmentMaxBytes to be at least 0, got -1',
    );
    expect(() => resolveLogConfig({ retentionMaxAge: Number.NaN })).toThrow(
      'expected retentionMaxAge to be a finite number',
    );
  });
});
