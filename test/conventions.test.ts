import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT, runNode } from './support/child-process.js';

/** Calls that tests make only through a helper, which cleans up when a test fails or is killed. */
const LEFT_TO_HELPERS: readonly (readonly [what: RegExp, helper: string, except: readonly string[]])[] = [
  [/\bmkdtemp(Sync)?\(|\btmpdir\(/, 'test/support/temporary-directory.ts', ['test/support/run-directory.ts']],
  [
    /(?<![\w.])(spawn|fork|exec|execFile)\(|promisify\(exec/,
    'test/support/child-process.ts',
    // Also runs outside Vitest: the fault benchmark uses it.
    ['test/support/real-cluster.ts'],
  ],
];

describe('the tests', () => {
  it('create temporary directories and child processes through the helpers, which clean up', () => {
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

describe('the packages', () => {
  it('have matching versions: the test broker needs the exact client version for its internal wire types', () => {
    const packageOf = (folder: string) =>
      JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as {
        version: string;
        dependencies: Record<string, string>;
      };
    const client = packageOf('.');
    const broker = packageOf('test-broker');
    expect(broker.dependencies['liftbridge-client']).toBe(client.version);
    expect(broker.version).toBe(client.version);
  });
});

/** Runs tests that fail on purpose. Returns the output of Vitest, and the processes and directories that remain. */
async function failing(name: string): Promise<{ told: string; left: string[] }> {
  const config = 'test/fixtures/failing/vitest.config.ts';
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--config', config, `failing/${name}.case`];
  const { out, error } = await runNode(args, '', { ...process.env, NO_COLOR: '1' });
  const told = out + error;
  const left = [...told.matchAll(/^left (\d+) (\S+)$/gm)].flatMap(([, pid, directory]) => [
    ...(isAlive(Number(pid)) ? [`process ${pid}`] : []),
    ...(existsSync(directory!) ? [directory!] : []),
  ]);
  return { told, left };
}

/** Whether the process runs: an ended one may stay in the process table until its parent collects it. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout !== '' && !stdout.startsWith('Z');
}

describe.skipIf(process.platform === 'win32')('a test that fails (skipped on Windows, which has no ps)', () => {
  it('leaves no process, no directory and no unhandled rejection', async () => {
    const { told, left } = await failing('failing');
    expect(told).toContain('2 failed');
    expect(told.match(/^left /gm)).toHaveLength(2);
    expect(left).toEqual([]);
    expect(told).not.toMatch(/unhandled/i);
  });

  it('leaves no process and no directory when its worker is killed', async () => {
    const { told, left } = await failing('killed');
    expect(told).toContain('Worker exited unexpectedly');
    expect(told.match(/^left /gm)).toHaveLength(1);
    expect(left).toEqual([]);
  });

  it('includes a test that passes but leaves a rejection unhandled', async () => {
    const { told } = await failing('rejecting');
    expect(told).toContain('1 passed');
    expect(told).toContain('Unhandled Rejection');
    expect(told).toContain('of a test that passes');
  });
});
