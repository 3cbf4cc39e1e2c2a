import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { startProcess } from '../../test/support/child-process.js';
import { startedByPackageManager } from '../src/parent-watch.js';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

const brokers = new Set<number>();
afterEach(() => {
  for (const pid of brokers) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  brokers.clear();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A parent that starts the broker with `script`, waits, and reports the broker's process id once it is ready. */
async function startParent(script: string): Promise<{ parent: ChildProcess; ended: Promise<void> }> {
  const parent = startProcess(process.execPath, ['-e', script, process.execPath, CLI], {
    env: { ...process.env, npm_command: 'exec' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  // The broker holds the write end of this pipe: the pipe ends when the broker exits.
  const ended = new Promise<void>((resolve) => parent.stdout!.once('end', () => resolve()));
  const broker = await new Promise<number>((resolve, reject) => {
    parent.stdout!.on('data', (chunk) => {
      text += chunk;
      const pid = /pid=(\d+)\n/.exec(text)?.[1];
      if (pid !== undefined && /ready grpc=\S+\n/.test(text)) resolve(Number(pid));
    });
    void ended.then(() => reject(new Error(`it ended: ${text}`)));
  });
  brokers.add(broker);
  return { parent, ended };
}

const ARGS = "['--import', 'tsx', cli, '--port', '0', '--quiet']";
const HEAD =
  "const { spawn } = require('node:child_process'); const [node, cli] = process.argv.slice(1); setInterval(() => {}, 1e6);";
/** Starts the broker itself. */
const DIRECT = `${HEAD} const child = spawn(node, ${ARGS}, { stdio: 'inherit' }); console.log('pid=' + child.pid);`;
/** Starts it through a shell that waits for it, as npx does. */
const SHELL = `${HEAD} spawn('/bin/sh', ['-c', '"$0" "$@" & echo pid=$!; wait', node, ...${ARGS}], { stdio: 'inherit' });`;

describe.skipIf(process.platform === 'win32')('the command line (skipped on Windows, which has no /bin/sh)', () => {
  test.each([
    ['itself', DIRECT],
    ['through a shell', SHELL],
  ])('ends when the package manager that started it %s is killed', async (_, script) => {
    const { parent, ended } = await startParent(script);
    parent.kill('SIGKILL');
    await ended;
  });

  test('detects a package manager by its environment variables', () => {
    expect(startedByPackageManager({})).toBe(false);
    expect(startedByPackageManager({ npm_command: 'exec' })).toBe(true);
    expect(startedByPackageManager({ npm_lifecycle_event: 'npx' })).toBe(true);
    expect(startedByPackageManager({ npm_config_user_agent: 'pnpm/9' })).toBe(true);
  });
});
