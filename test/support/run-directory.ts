import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

// A global setup of Vitest: runs in its main process, so that it also cleans up after a worker that was killed.

declare module 'vitest' {
  export interface ProvidedContext {
    /** Directory of this run of the tests: all temporary directories are in it. */
    runDirectory: string;
  }
}

let directory: string | null = null;

/** Where a directory of a run records the child processes that tests have started: one file each, named by the process id. */
export const processesIn = (runDirectory: string): string => join(runDirectory, 'processes');

export function setup({ provide }: TestProject): void {
  directory = mkdtempSync(join(tmpdir(), 'liftbridge-test-'));
  mkdirSync(processesIn(directory));
  provide('runDirectory', directory);
  // A signal ends Vitest without a teardown.
  process.once('exit', teardown);
}

export function teardown(): void {
  process.off('exit', teardown);
  if (directory === null) return;
  for (const pid of readdirSync(processesIn(directory))) kill(Number(pid));
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  directory = null;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
