import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { startProcess } from '../../../test/support/child-process.js';
import { temporaryDirectory } from '../../../test/support/temporary-directory.js';
import { PartitionStorage } from '../../src/log/storage.js';
import { type Fixture, held, openLog } from './log-fixture.js';

/** File operations that remain before the process "dies". Later operations fail. */
const life = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY }));

class Died extends Error {}

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const mortal = <T extends (...args: never[]) => unknown>(operation: T) =>
    ((...args: never[]) => {
      if (--life.left < 0) throw new Died();
      return operation(...args);
    }) as T;
  const changing = ['mkdirSync', 'renameSync', 'rmSync', 'truncateSync', 'writeFileSync', 'writevSync'] as const;
  return { ...real, ...Object.fromEntries(changing.map((name) => [name, mortal(real[name] as () => unknown)])) };
});

const config = { segmentMaxBytes: 250, retentionMaxMessages: 9, compactEnabled: true };

function openIn(directory: string): Fixture {
  return openLog({ config, storage: new PartitionStorage({ directory }) });
}

type Step = (fixture: Fixture) => void;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('', 'a', 'b').map(
      (key): Step =>
        ({ add }) =>
          add({ key }) as never,
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>(({ log }) => log.clean()) },
  {
    weight: 1,
    arbitrary: fc.nat(6).map(
      (back): Step =>
        ({ log }) =>
          log.truncate(Math.max(0, log.nextOffset - back)),
    ),
  },
);

/** The contents of the log before and after the step in which the process died, and after recovery. */
function dieAfter(operations: number, steps: readonly Step[], directory: string) {
  const disk = openIn(directory);
  // The same log in memory gives the expected result.
  const memory = openLog({ config });
  for (const step of steps) {
    const before = held(memory.log);
    step(memory);
    life.left = operations;
    try {
      step(disk);
      operations = life.left;
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      life.left = Number.POSITIVE_INFINITY;
      return { before, after: held(memory.log), found: openIn(directory) };
    } finally {
      life.left = Number.POSITIVE_INFINITY;
    }
  }
  return { before: held(memory.log), after: held(memory.log), found: openIn(directory) };
}

describe('a log whose process dies between two file operations', () => {
  it('recovers the state before the step, after it, or in between', async () => {
    const root = temporaryDirectory();
    let runs = 0;
    await fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }), fc.nat(60), (steps, operations) => {
        const { before, after, found } = dieAfter(operations, steps, join(root, String(runs++)));
        const offsets = held(found.log);
        const [smaller, larger] = before.length < after.length ? [before, after] : [after, before];
        expect(larger).toEqual(expect.arrayContaining(offsets));
        expect(offsets).toEqual(expect.arrayContaining(smaller));
        const next = found.log.nextOffset;
        expect(found.add()).toBe(next);
        expect(held(found.log)).toEqual([...offsets, next]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a log whose process is killed', () => {
  it('has every message that was acknowledged', async () => {
    const directory = temporaryDirectory();
    const printed = join(temporaryDirectory(), 'offsets');
    const output = openSync(printed, 'a');
    const script = fileURLToPath(new URL('./append-forever.ts', import.meta.url));
    const child = startProcess(process.execPath, ['--import', 'tsx', script, directory], {
      stdio: ['ignore', output, 'inherit', 'ipc'],
    });
    child.once('message', () => child.kill('SIGKILL'));
    await once(child, 'exit');
    closeSync(output);
    expect(child.signalCode).toBe('SIGKILL');
    const text = readFileSync(printed, 'utf8');
    const acknowledged = Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1));
    expect(acknowledged).toBeGreaterThanOrEqual(999);

    const { log } = openIn(directory);
    expect(log.newestOffset).toBeGreaterThanOrEqual(acknowledged);
    expect(String(log.record(acknowledged)?.value)).toBe(`value ${acknowledged}`);
    expect([...log.records()].every((record) => String(record.value) === `value ${record.offset}`)).toBe(true);
  });
});
