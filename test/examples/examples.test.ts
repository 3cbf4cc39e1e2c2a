import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ended, type Lifetime, ROOT, runToEnd } from '../support/child-process.js';

/** Runs an example as a user does. */
function run(example: string, args: readonly string[] = [], input = '', lifetime: Lifetime = 'test'): Promise<Ended> {
  return runToEnd(process.execPath, ['--import', 'tsx', `examples/${example}`, ...args], { input, lifetime });
}

const examples = readdirSync(`${ROOT}/examples`).filter((name) => name.endsWith('.ts') && name !== 'quickstart.ts');

/** How many examples run at the same time: they wait more than they compute. */
const LANES = 3;

describe('every example', () => {
  const runs = new Map<string, Promise<Ended>>();

  beforeAll(() => {
    const lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());
    for (const [index, example] of examples.entries()) {
      const ended = lanes[index % LANES]!.then(() => run(example, [], '', 'file'));
      runs.set(example, ended);
      // The test of the example tells of a failure.
      lanes[index % LANES] = ended.catch(() => undefined);
    }
  });

  it.each(examples)('%s runs to its end and says so with exit code 0', async (example) => {
    const { code, out, error } = await runs.get(example)!;
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).not.toBe('');
  });
});

describe('the quickstart', () => {
  it('publishes the packages of package-lock.json, stops a leader, starts it again and reads all of it back', async () => {
    const { code, out, error } = await run('quickstart.ts');
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain('was stopped half-way');
    expect(out).toMatch(/it was started again, and held every partition in sync \d+ ms later/);
    expect(out).toContain('Everything published was read back, once and in order.');
  });

  it('publishes what stands on standard input', async () => {
    const { code, out } = await run('quickstart.ts', ['-'], 'one\ntwo\nthree\n');
    expect(code).toBe(0);
    expect(out).toContain('3 messages published');
  });

  it('says in one line that a file is missing, with exit code 2', async () => {
    const { code, error } = await run('quickstart.ts', ['no/such/file']);
    expect({ code, error }).toEqual({ code: 2, error: 'quickstart: cannot read no/such/file: no such file\n' });
  });
});
