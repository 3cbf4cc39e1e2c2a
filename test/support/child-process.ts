import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, TestRunner } from 'vitest';
import { closing, closingWithFile } from './closing.js';
import { processesIn } from './run-directory.js';

/** Root folder of the repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** How a child process ended, and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** The lifetime that limits a child process. */
export type Lifetime = 'test' | 'file';

/** How to start a child process. `lifetime` defaults to 'test' in a test and to 'file' outside. */
export interface ProcessOptions extends SpawnOptions {
  readonly lifetime?: Lifetime;
}

/** Starts a child process that ends with the test or the file. The run ends it when the worker of the test is killed. */
export function startProcess(
  command: string,
  args: readonly string[],
  { lifetime = TestRunner.getCurrentTest() === undefined ? 'file' : 'test', ...options }: ProcessOptions = {},
): ChildProcess {
  const child = spawn(command, args, options);
  const { pid } = child;
  // Without a process id the start has failed: 'error' follows.
  if (pid === undefined) return child;
  const record = join(processesIn(inject('runDirectory')), String(pid));
  writeFileSync(record, '');
  child.once('exit', () => rmSync(record, { force: true }));
  (lifetime === 'file' ? closingWithFile : closing)({ close: () => endProcess(child) });
  return child;
}

/** Kills a child process and waits until it has ended. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Runs a command until it ends. `input` is its standard input. The working directory is the root folder by default. */
export function runToEnd(
  command: string,
  args: readonly string[],
  { input = '', ...options }: ProcessOptions & { readonly input?: string } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = startProcess(command, args, { cwd: ROOT, ...options, stdio: 'pipe' });
    let out = '';
    let error = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      error += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, error }));
    child.stdin!.end(input);
  });
}

/** Runs a command until it ends, and resolves with its output. Rejects when it fails. */
export async function outputOf(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<string> {
  const { code, out, error } = await runToEnd(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${out}${error}`);
  return out;
}

/** Runs Node with these arguments in the root folder until it ends. `input` is its standard input. */
export function runNode(args: readonly string[], input = '', env: NodeJS.ProcessEnv = process.env): Promise<Ended> {
  return runToEnd(process.execPath, args, { input, env });
}
