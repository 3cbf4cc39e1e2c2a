import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import type { Clock } from '../../src/clock.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { PartitionStorage } from '../../src/log/storage.js';
import { messages, SUBJECT } from './log-fixture.js';
import { LogModel, type ModelConfig } from './log-model.js';

/** Time that does not change between two steps. */
class StillClock implements Clock {
  time = 1_000_000_000_000_000_000n;
  now = () => Number(this.time / 1_000_000n);
  nanos = () => this.time;
  after = () => ({ cancel() {} });
  every = () => ({ cancel() {} });
}

type Step =
  | { type: 'append'; key: string; value: string; count: number }
  | { type: 'commit'; share: number }
  | { type: 'truncate'; back: number }
  | { type: 'wait'; ms: number }
  | { type: 'clean' | 'pause' | 'restart' | 'epoch' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      key: fc.constantFrom('', 'a', 'b', 'c'),
      value: fc.string({ unit: 'binary-ascii', maxLength: 60, size: 'max' }),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('commit' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('clean' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('truncate' as const), back: fc.integer({ min: 0, max: 12 }) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 600 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('pause' as const, 'restart' as const, 'epoch' as const) }),
  },
);

const config: fc.Arbitrary<ModelConfig> = fc.record({
  segmentMaxBytes: fc.constantFrom(1, 100, 300, 1_000_000),
  segmentMaxAge: fc.constantFrom(0, 500),
  retentionMaxMessages: fc.constantFrom(0, 0, 3, 8),
  retentionMaxBytes: fc.constantFrom(0, 0, 400, 2000),
  retentionMaxAge: fc.constantFrom(0, 1000),
  compactEnabled: fc.boolean(),
});

class Run {
  readonly clock = new StillClock();
  readonly model: LogModel;
  log: PartitionLog;
  epoch = 1;

  constructor(
    readonly config: ModelConfig,
    readonly directory: string | null,
  ) {
    this.model = new LogModel(config);
    this.log = this.open();
  }

  open(): PartitionLog {
    const onWarning = (message: string) => expect.fail(message);
    const storage = this.directory === null ? null : new PartitionStorage({ directory: this.directory, onWarning });
    return new PartitionLog({
      stream: 's',
      partition: 1,
      clock: this.clock,
      config: this.config,
      storage,
      checkpointed: true,
    });
  }

  do(step: Step): void {
    const { log, model, clock } = this;
    switch (step.type) {
      case 'append':
        for (let i = 0; i < step.count; i++) this.append(step.key, `${i}${step.value}`);
        break;
      case 'commit': {
        const to = Math.round(model.next * step.share) - 1;
        log.setHighWatermark(to);
        model.highWatermark = Math.max(model.highWatermark, to);
        break;
      }
      case 'clean':
        log.clean();
        model.clean(clock.nanos());
        break;
      case 'truncate': {
        const offset = Math.max(model.next - step.back, model.highWatermark + 1);
        log.truncate(offset);
        model.truncate(offset);
        break;
      }
      case 'wait':
        clock.time += BigInt(step.ms) * 1_000_000n;
        break;
      case 'epoch':
        this.epoch++;
        break;
      case 'pause':
        log.close();
        log.reopen();
        break;
      case 'restart':
        if (this.directory === null) break;
        log.close();
        this.log = this.open();
    }
  }

  append(key: string, value: string): void {
    const { log, model, clock, epoch } = this;
    clock.time += 1n;
    const timestamp = clock.time;
    const offset = log.append({
      key: Buffer.from(key),
      value: Buffer.from(value),
      headers: [],
      subject: SUBJECT,
      reply: '',
      timestamp,
      expectedOffset: -1n,
      leaderEpoch: epoch,
    });
    model.append({ key, value, timestamp, epoch });
    expect(offset).toBe(model.active.entries.at(-1)?.offset);
  }

  check(log = this.log): void {
    const { model } = this;
    expect(log.segments.all.map(({ baseOffset, count, size }) => [baseOffset, count, size])).toEqual(
      model.segments.map(({ base, entries }) => [base, entries.length, entries.reduce((sum, e) => sum + e.size, 0)]),
    );
    expect([...log.records()].map((r) => [r.offset, String(r.key ?? ''), String(r.value), r.timestamp])).toEqual(
      model.entries.map((entry) => [entry.offset, entry.key, entry.value, entry.timestamp]),
    );
    expect([log.oldestOffset, log.nextOffset, log.highWatermark]).toEqual([
      model.entries[0]?.offset ?? -1,
      model.next,
      model.highWatermark,
    ]);
    expect(model.entries.map((entry) => log.epochs.epochOf(entry.offset))).toEqual(model.entries.map((e) => e.epoch));
  }

  checkReads(from: number, to: number, maxBytes: number): void {
    const expected = this.model.entries.filter(({ offset }) => offset >= from && offset <= to).map((e) => e.offset);
    const seen: number[] = [];
    for (let at = from; at <= to && at < this.model.next; ) {
      const read = this.log.read(at, to, maxBytes);
      const frames = messages(read.frames);
      expect([frames.length, frames.at(-1)?.offset ?? -1]).toEqual([read.count, read.last]);
      expect(read.next).toBeGreaterThan(at);
      if (read.count > 1) expect(Buffer.concat(read.frames).length).toBeLessThanOrEqual(maxBytes);
      seen.push(...frames.map((frame) => frame.offset));
      at = read.next;
    }
    expect(seen).toEqual(expected);
    expect([...this.log.recordsBackwards()].map((r) => r.offset)).toEqual(
      this.model.entries.map((e) => e.offset).reverse(),
    );
  }
}

const steps = fc.array(step, { minLength: 5, maxLength: 40, size: 'max' });
const window = fc.tuple(fc.nat(30), fc.nat(60), fc.constantFrom(1, 150, 400, 100_000));

describe('PartitionLog', () => {
  it('matches the model after any steps in memory', async () => {
    await fc.assert(
      fc.property(config, steps, window, (config, steps, [from, to, maxBytes]) => {
        const run = new Run(config, null);
        for (const step of steps) {
          run.do(step);
          run.check();
        }
        run.checkReads(from, to, maxBytes);
      }),
      { numRuns: 100 },
    );
  });

  it('matches the model after any steps on disk, also after a restart and a second open', async () => {
    const root = temporaryDirectory();
    let runs = 0;
    await fc.assert(
      fc.property(config, steps, window, (config, steps, [from, to, maxBytes]) => {
        const run = new Run(config, `${root}/${runs++}`);
        for (const step of steps) {
          run.do(step);
          run.check();
        }
        run.checkReads(from, to, maxBytes);
        run.log.close();
        run.log.reopen();
        run.check(run.open());
      }),
      { numRuns: 50 },
    );
  });
});
