import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import type { LogConfig } from '../../src/log/log-config.js';
import { OpenFiles } from '../../src/log/open-files.js';
import { HEADER_BYTES } from '../../src/log/segment-file.js';
import { PartitionStorage, partitionDirectory } from '../../src/log/storage.js';
import { type Fixture, held, openLog, range } from './log-fixture.js';

interface Options {
  readonly config?: Partial<LogConfig>;
  readonly checkpointed?: boolean;
  readonly warnings?: string[];
  readonly files?: OpenFiles;
}

/** A log in this directory, with its existing files. */
function openIn(directory: string, { warnings, files, ...options }: Options = {}): Fixture {
  const onWarning = (message: string) => {
    if (warnings === undefined) throw new Error(message);
    warnings.push(message);
  };
  const storage = new PartitionStorage({ directory, onWarning, ...(files && { files }) });
  return openLog({ storage, onWarning, ...options });
}

const logFiles = (directory: string) => readdirSync(directory).filter((name) => name.endsWith('.log'));
const state = ({ log }: Fixture) => ({
  records: [...log.records()],
  segments: log.segments.all.map((segment) => [segment.baseOffset, segment.count, segment.size]),
  epochs: log.epochs.starts,
  next: log.nextOffset,
});

describe('a log with storage', () => {
  it('recovers all its state without having been closed', () => {
    const directory = temporaryDirectory();
    const first = openIn(directory, { config: { segmentMaxBytes: 500 } });
    for (let i = 0; i < 20; i++) {
      first.add({ key: `k${i}`, value: 'v'.repeat(i), headers: [['h', Buffer.from([i])]], leaderEpoch: 1 + (i >> 3) });
    }
    const second = openIn(directory, { config: { segmentMaxBytes: 500 } });
    expect(state(second)).toEqual(state(first));
    expect(second.log.highWatermark).toBe(19);
    expect(second.add()).toBe(20);
    expect(held(openIn(directory).log)).toEqual(range(0, 20));
  });

  it('creates no file before the first message', () => {
    const directory = join(temporaryDirectory(), 'partition');
    const { log, add } = openIn(directory);
    log.close();
    expect(existsSync(directory)).toBe(false);
    log.reopen();
    add();
    expect(readdirSync(directory)).toEqual(['00000000000000000000.log']);
  });

  it('continues the offsets when retention deleted everything', () => {
    const directory = temporaryDirectory();
    const config = { segmentMaxBytes: 200, retentionMaxMessages: 1 };
    const first = openIn(directory, { config });
    for (let i = 0; i < 6; i++) first.add({ leaderEpoch: 7 });
    first.log.clean();
    first.log.clean();
    expect(logFiles(directory)).toEqual(['00000000000000000006.log']);
    const second = openIn(directory, { config });
    expect([second.log.oldestOffset, second.log.nextOffset, second.log.epochs.last]).toEqual([-1, 6, 7]);
    expect(second.add()).toBe(6);
    expect(held(openIn(directory).log)).toEqual([6]);
  });

  it('keeps the messages that compaction kept', () => {
    const directory = temporaryDirectory();
    const config = { segmentMaxBytes: 200, compactEnabled: true };
    const first = openIn(directory, { config });
    for (let i = 0; i < 13; i++) first.add({ key: ['a', 'b', 'b', 'b'][i % 4]!, leaderEpoch: 1 + (i >> 2) });
    first.log.clean();
    const second = openIn(directory, { config });
    expect(held(second.log)).toEqual([11, 12]);
    expect(state(second)).toEqual({ ...state(first), epochs: second.log.epochs.starts });
    expect([11, 12].map((offset) => second.log.epochs.epochOf(offset))).toEqual([3, 4]);
    expect(second.add()).toBe(13);
  });

  it.each(range(0, 8))('keeps the remaining messages of a truncation at %d', (offset) => {
    for (const segmentMaxBytes of [1, 200, 0]) {
      const directory = temporaryDirectory();
      const first = openIn(directory, { config: { segmentMaxBytes } });
      for (let i = 0; i < 7; i++) first.add();
      first.log.truncate(offset);
      expect(state(openIn(directory))).toEqual(state(first));
      first.add({ value: 'new!' });
      const second = openIn(directory);
      expect(state(second)).toEqual(state(first));
      expect(String([...second.log.records()].at(-1)?.value)).toBe('new!');
    }
  });

  it('keeps the remaining messages of a truncation at an offset that compaction removed', () => {
    const directory = temporaryDirectory();
    const first = openIn(directory, { config: { segmentMaxBytes: 200, compactEnabled: true } });
    for (const key of ['x', 'a', 'y', 'a', 'z']) first.add({ key });
    first.log.clean();
    first.log.truncate(2);
    expect(state(openIn(directory))).toEqual(state(first));
  });

  it('keeps the messages that a follower received', () => {
    const directory = temporaryDirectory();
    const leader = openLog({ config: { segmentMaxBytes: 200, retentionMaxMessages: 5 } });
    for (let i = 0; i < 12; i++) leader.add({ leaderEpoch: 3 });
    leader.log.clean();
    leader.log.clean();
    const follower = openIn(directory);
    follower.log.appendSlice(leader.log.slice(0, 1e6));
    const again = openIn(directory);
    expect([...again.log.records()]).toEqual([...leader.log.records()]);
    expect([again.log.oldestOffset, again.log.epochs.last]).toEqual([9, 3]);
  });

  it('removes its directory when it is deleted', () => {
    const directory = join(temporaryDirectory(), 'partition');
    const { log, add } = openIn(directory);
    add();
    log.delete();
    expect(existsSync(directory)).toBe(false);
  });

  it('can append after close and reopen', () => {
    const directory = temporaryDirectory();
    const { log, add } = openIn(directory);
    add();
    log.close();
    log.reopen();
    add();
    expect(held(openIn(directory).log)).toEqual([0, 1]);
  });
});

describe('a torn tail', () => {
  it('is cut off at every byte, with a warning, and the log continues after the last complete message', () => {
    const directory = temporaryDirectory();
    const { add } = openIn(directory);
    const ends = [HEADER_BYTES];
    const path = join(directory, '00000000000000000000.log');
    for (let i = 0; i < 3; i++) {
      add({ value: `value ${i}` });
      ends.push(statSync(path).size);
    }
    const whole = readFileSync(path);
    for (let size = 0; size <= whole.length; size++) {
      writeFileSync(path, whole.subarray(0, size));
      const warnings: string[] = [];
      const kept = ends.filter((end) => end <= size).length - 1;
      const torn = openIn(directory, { warnings });
      expect(held(torn.log)).toEqual(range(0, Math.max(kept, 0) - 1));
      const expected = ends.includes(size) || size === 0 ? [] : [`cut ${size - (ends[kept] ?? 0)} bytes off ${path}`];
      expect(warnings.map((warning) => warning.split(':')[0])).toEqual(expected);
      expect(torn.add({ value: 'next' })).toBe(Math.max(kept, 0));
      expect([...openIn(directory).log.records()].map((record) => String(record.value)).at(-1)).toBe('next');
    }
  });

  it('is detected wherever a byte is wrong', () => {
    const directory = temporaryDirectory();
    const { add } = openIn(directory);
    const path = join(directory, '00000000000000000000.log');
    add();
    const end = statSync(path).size;
    add();
    const whole = readFileSync(path);
    for (let i = end; i < whole.length; i++) {
      const wrong = Buffer.from(whole);
      wrong[i]! ^= 0x40;
      writeFileSync(path, wrong);
      const warnings: string[] = [];
      expect(held(openIn(directory, { warnings }).log)).toEqual([0]);
      expect(warnings).toHaveLength(1);
    }
  });

  it('of zeros, as after a power failure, is cut off too', () => {
    const directory = temporaryDirectory();
    openIn(directory).add();
    appendFileSync(join(directory, '00000000000000000000.log'), Buffer.alloc(4096));
    const warnings: string[] = [];
    expect(held(openIn(directory, { warnings }).log)).toEqual([0]);
    expect(warnings).toHaveLength(1);
  });

  it('may be the file of a segment that was just created', () => {
    const directory = temporaryDirectory();
    const { log, add } = openIn(directory, { config: { segmentMaxBytes: 1 } });
    add();
    log.clean();
    truncateSync(join(directory, '00000000000000000001.log'), 5);
    const again = openIn(directory, { warnings: [] });
    expect(again.add()).toBe(1);
    expect(held(openIn(directory).log)).toEqual([0, 1]);
  });

  it('is not repaired in a file of another format, which stays unchanged', () => {
    const directory = temporaryDirectory();
    const path = join(directory, '00000000000000000000.log');
    writeFileSync(path, 'a log that somebody else wrote, with many lines');
    expect(() => openIn(directory)).toThrow(`${path} is not a segment file of this version`);
    expect(readFileSync(path, 'utf8')).toContain('somebody else');
  });
});

describe('the high watermark checkpoint', () => {
  it('is written five seconds after a change and when the log is closed', async () => {
    const directory = temporaryDirectory();
    const { log, clock, add } = openIn(directory);
    const path = join(directory, 'high-watermark');
    add();
    expect(existsSync(path)).toBe(false);
    await clock.advance(5000);
    expect(readFileSync(path, 'utf8')).toBe('0\n');
    add();
    log.close();
    expect(readFileSync(path, 'utf8')).toBe('1\n');
  });

  it('limits the committed messages if other replicas decide; otherwise all are committed', () => {
    const directory = temporaryDirectory();
    const { log, add } = openIn(directory, { checkpointed: true });
    for (let i = 0; i < 3; i++) add();
    log.close();
    log.reopen();
    add();
    expect(openIn(directory, { checkpointed: true }).log.highWatermark).toBe(2);
    expect(openIn(directory).log.highWatermark).toBe(3);
  });

  it('above the last offset is lowered, and an invalid one is ignored with a warning', () => {
    const directory = temporaryDirectory();
    openIn(directory).add();
    writeFileSync(join(directory, 'high-watermark'), '17\n');
    expect(openIn(directory, { checkpointed: true }).log.highWatermark).toBe(0);
    writeFileSync(join(directory, 'high-watermark'), '');
    const warnings: string[] = [];
    expect(openIn(directory, { checkpointed: true, warnings }).log.highWatermark).toBe(-1);
    expect(warnings).toHaveLength(1);
  });
});

describe('PartitionStorage', () => {
  it('removes a message that was only partly written', () => {
    class FullDisk extends OpenFiles {
      full = false;
      override append(path: string, parts: readonly Uint8Array[]): number {
        return super.append(path, this.full ? [parts[0]!] : parts);
      }
    }
    const directory = temporaryDirectory();
    const files = new FullDisk();
    const { log, add } = openIn(directory, { files });
    add();
    files.full = true;
    expect(() => add()).toThrow('is the disk full?');
    expect(log.nextOffset).toBe(1);
    files.full = false;
    expect(add()).toBe(1);
    expect(held(openIn(directory).log)).toEqual([0, 1]);
  });

  it('continues with the current segment when the next one cannot be created', () => {
    const directory = temporaryDirectory();
    const { log, add } = openIn(directory, { config: { segmentMaxBytes: 1 } });
    add();
    mkdirSync(join(directory, '00000000000000000001.log'));
    expect(() => add()).toThrow('EISDIR');
    expect([log.nextOffset, log.segments.all.length]).toEqual([1, 1]);
    rmdirSync(join(directory, '00000000000000000001.log'));
    expect(add()).toBe(1);
    expect(held(openIn(directory).log)).toEqual([0, 1]);
  });

  it('rejects further writes after a truncation that failed half-way', () => {
    const directory = temporaryDirectory();
    const { log, add } = openIn(directory, { config: { segmentMaxBytes: 200 } });
    for (let i = 0; i < 7; i++) add();
    rmSync(join(directory, '00000000000000000006.log'));
    mkdirSync(join(directory, '00000000000000000006.log'));
    expect(() => log.truncate(2)).toThrow('is a directory');
    expect(() => add()).toThrow(`${directory} accepts no more writes: an earlier change of its files failed`);
  });

  it('reports a failure on a tick and does not throw', async () => {
    const directory = temporaryDirectory();
    const warnings: string[] = [];
    const { clock, add } = openIn(directory, { warnings });
    add();
    // A directory at the path that the checkpoint is renamed to.
    mkdirSync(join(directory, 'high-watermark'));
    await clock.advance(5000);
    expect(warnings).toEqual([expect.stringContaining('failed to checkpoint partition 0 of stream stream')]);
  });

  it('limits the open files for many partitions', () => {
    const root = temporaryDirectory();
    const files = new OpenFiles(4);
    const logs = range(0, 19).map((i) => openIn(join(root, String(i)), { files }));
    for (let round = 0; round < 3; round++) for (const { add } of logs) add();
    const open = readdirSync('/proc/self/fd').length;
    files.closeAll();
    expect(open - readdirSync('/proc/self/fd').length).toBe(4);
    for (const i of range(0, 19)) expect(held(openIn(join(root, String(i))).log)).toEqual([0, 1, 2]);
  });
});

describe('partitionDirectory', () => {
  it('is inside the data directory, and differs for every stream and partition', () => {
    const names = [
      'a',
      'A b',
      '.',
      '..',
      'a/b',
      '../a',
      'a%2fb',
      '%',
      '*',
      'ä',
      '',
      'x'.repeat(300),
      `${'x'.repeat(300)}y`,
    ];
    const directories = names.flatMap((name) => [0, 1].map((n) => partitionDirectory('/data', name, n)));
    expect(new Set(directories).size).toBe(2 * names.length);
    for (const directory of directories) expect(directory).toMatch(/^\/data\/([^/]{1,200}\/)?[01]$/);
    expect(partitionDirectory('/data', 'orders', 3)).toBe('/data/orders/3');
  });
});
