import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/child-process.js';

/** What tests leave to a helper, so that a test which fails or is killed leaves nothing behind. */
const LEFT_TO_HELPERS: readonly (readonly [what: RegExp, helper: string, except: readonly string[]])[] = [
  [/\bmkdtemp(Sync)?\(|\btmpdir\(/, 'test/support/temporary-directory.ts', ['test/support/run-directory.ts']],
  [
    /(?<![\w.])(spawn|fork|exec|execFile)\(|promisify\(exec/,
    'test/support/child-process.ts',
    // Runs outside Vitest too: the benchmark of faults uses it.
    ['test/support/real-cluster.ts'],
  ],
];

describe('the tests', () => {
  it('make temporary directories and child processes through the helpers, which clean up', () => {
    const wrong: string[] = [];
    for (const folder of ['test', 'test-broker/test'])
      for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
        const file = `${folder}/${name}`;
        if (!file.endsWith('.ts')) continue;
        const text = readFileSync(join(ROOT, file), 'utf8').replaceAll(/`[^`]*`|"[^"]*"/g, '');
        for (const [what, helper, except] of LEFT_TO_HELPERS)
          if (file !== helper && !except.includes(file) && what.test(text)) wrong.push(`${file}: see ${helper}`);
      }
    expect(wrong).toEqual([]);
  });
});
