import { describe, expect, it } from 'vitest';
import { LeaderEpochs } from '../../src/log/leader-epochs.js';
import { LogError } from '../../src/log/log-error.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { held, openLog, range } from './log-fixture.js';

/** Copies the messages that the follower does not have. */
function replicate(leader: PartitionLog, follower: PartitionLog, maxBytes = 1000): void {
  for (;;) {
    const slice = leader.slice(follower.nextOffset, maxBytes);
    if (slice.count === 0) return;
    follower.appendSlice(slice);
  }
}

describe('PartitionLog.slice and appendSlice', () => {
  it('make a follower with the same offsets, times, contents and leader epochs', () => {
    const leader = openLog({ config: { segmentMaxBytes: 300 } });
    for (let i = 0; i < 10; i++) {
      leader.add({ key: `k${i}`, headers: [['h', Buffer.from([i])]], leaderEpoch: i < 4 ? 2 : 5, commit: i < 5 });
    }
    const follower = openLog();
    replicate(leader.log, follower.log);
    expect([...follower.log.records()]).toEqual([...leader.log.records()]);
    expect(follower.log.epochs.starts).toEqual([
      { epoch: 2, startOffset: 0 },
      { epoch: 5, startOffset: 4 },
    ]);
    expect(follower.log.segments.active.size).toBe(
      leader.log.segments.all.reduce((sum, segment) => sum + segment.size, 0),
    );
    expect(follower.log.highWatermark).toBe(-1);
  });

  it('copy the bytes: the follower does not change with the leader', () => {
    const leader = openLog();
    leader.add();
    const follower = openLog();
    replicate(leader.log, follower.log);
    leader.log.delete();
    expect(held(follower.log)).toEqual([0]);
  });

  it('copy the gaps of retention and compaction', () => {
    const config = { segmentMaxBytes: 200, compactEnabled: true, retentionMaxMessages: 7 };
    const leader = openLog({ config });
    for (let i = 0; i < 13; i++) leader.add({ key: i % 2 === 0 ? 'even' : `odd ${i}` });
    leader.log.clean();
    const expected = held(leader.log);
    expect(expected[0]).toBeGreaterThan(0);
    const follower = openLog();
    replicate(leader.log, follower.log);
    expect(held(follower.log)).toEqual(expected);
    expect([follower.log.oldestOffset, follower.log.nextOffset]).toEqual([expected[0], 13]);
    expect(follower.log.read(0, 12, 1e6).count).toBe(expected.length);
  });

  it('reject messages that the follower already has', () => {
    const leader = openLog();
    leader.add();
    const slice = leader.log.slice(0, 1000);
    const follower = openLog();
    follower.log.appendSlice(slice);
    expect(() => follower.log.appendSlice(slice)).toThrow(new LogError('expected offset 1 or more, got 0'));
  });

  it('work on a follower that is readonly', () => {
    const leader = openLog();
    leader.add();
    const follower = openLog();
    follower.log.readonly = true;
    replicate(leader.log, follower.log);
    expect(held(follower.log)).toEqual([0]);
  });
});

describe('PartitionLog.truncate', () => {
  it.each(range(0, 8))('at %d drops all messages from that offset, and the next append gets it', (offset) => {
    for (const segmentMaxBytes of [1, 200, 0]) {
      const { log, add } = openLog({ config: { segmentMaxBytes } });
      for (let i = 0; i < 7; i++) add({ commit: i < offset });
      log.truncate(offset);
      const end = Math.min(offset, 7);
      expect([held(log), log.nextOffset, log.newestOffset]).toEqual([range(0, end - 1), end, end - 1]);
      expect(log.highWatermark).toBe(end - 1);
      expect(log.segments.all.reduce((sum, segment) => sum + segment.size, 0)).toBe(83 * end);
      expect(add({ value: 'new!' })).toBe(end);
      expect([held(log), String(log.record(end)?.value)]).toEqual([range(0, end), 'new!']);
    }
  });

  it('at an offset that compaction removed assigns that offset again', () => {
    const { log, add } = openLog({ config: { segmentMaxBytes: 200, compactEnabled: true } });
    for (const key of ['x', 'a', 'y', 'a', 'z']) add({ key });
    log.clean();
    log.truncate(2);
    expect([held(log), log.nextOffset, add()]).toEqual([[0], 2, 2]);
  });

  it('keeps a high watermark above the end, and new messages up to it are committed', () => {
    const { log, add } = openLog();
    for (let i = 0; i < 5; i++) add();
    log.truncate(2);
    expect([log.highWatermark, log.newestOffset]).toEqual([4, 1]);
    expect(log.setHighWatermark(1)).toBe(false);
    for (let i = 0; i < 4; i++) add({ commit: false });
    expect([log.highWatermark, log.newestOffset]).toEqual([4, 5]);
  });

  it('makes a returning leader drop the messages that the new leader does not have', () => {
    const old = openLog();
    for (let i = 0; i < 4; i++) old.add({ leaderEpoch: 1 });
    const next = openLog();
    replicate(old.log, next.log);
    for (let i = 0; i < 3; i++) old.add({ leaderEpoch: 1, value: 'lost', commit: false });
    next.log.beginEpoch(2n);
    for (let i = 0; i < 2; i++) next.add({ leaderEpoch: 2, value: 'kept' });

    const last = next.log.lastOffsetForEpoch(old.log.epochs.last);
    expect(last).toBe(3);
    old.log.truncate(last + 1);
    replicate(next.log, old.log);
    expect([...old.log.records()]).toEqual([...next.log.records()]);
    expect(old.log.epochs.starts).toEqual(next.log.epochs.starts);
  });
});

describe('LeaderEpochs', () => {
  it('returns the epoch of an offset and the end offset of an epoch', () => {
    const epochs = new LeaderEpochs();
    expect([epochs.last, epochs.epochOf(3), epochs.lastOffset(1, 7)]).toEqual([0, 0, 7]);
    epochs.begin(1, 0);
    epochs.begin(4, 10);
    epochs.begin(4, 12);
    epochs.begin(3, 13);
    expect(epochs.starts).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 4, startOffset: 10 },
    ]);
    expect([0, 9, 10, 99].map((offset) => epochs.epochOf(offset))).toEqual([1, 1, 4, 4]);
    expect([0, 1, 2, 4, 5].map((epoch) => epochs.lastOffset(epoch, 20))).toEqual([-1, 9, 9, 20, 20]);
  });

  it('drops an epoch without messages when the next one begins', () => {
    const epochs = new LeaderEpochs();
    epochs.begin(1, 0);
    epochs.begin(2, 5);
    epochs.begin(3, 5);
    expect(epochs.starts).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 3, startOffset: 5 },
    ]);
  });

  it('follows truncation and retention', () => {
    const epochs = new LeaderEpochs();
    for (const [epoch, start] of [
      [1, 0],
      [2, 5],
      [3, 9],
      [4, 12],
    ] as const)
      epochs.begin(epoch, start);
    epochs.truncate(12);
    expect(epochs.last).toBe(3);
    epochs.dropBefore(7);
    expect(epochs.starts).toEqual([
      { epoch: 2, startOffset: 7 },
      { epoch: 3, startOffset: 9 },
    ]);
    epochs.dropBefore(9);
    expect(epochs.starts).toEqual([{ epoch: 3, startOffset: 9 }]);
  });
});
