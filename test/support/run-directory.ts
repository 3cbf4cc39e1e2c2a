import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

// A global setup of Vitest: runs in its main process, so that it also cleans up after a killed worker.

declare module 'vitest' {
  export interface ProvidedContext {
    /** Directory of this test run: it contains all temporary directories. */
    runDirectory: string;
  }
}

let directory: string | null = null;

/** The folder of a run that records the child processes of tests: one file for each process id. */
export const processesIn = (runDirectory: string): string => join(runDirectory, 'processes');

export function setup({ provide }: TestProject): void {
  directory = mkdtempSync(join(tmpdir(), 'liftbridge-test-'));
  mkdirSync(processesIn(directory));
  provide('runDirectory', directory);
  // A signal ends Vitest without its teardown.
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
    // It has already ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
