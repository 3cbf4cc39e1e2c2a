import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PROCESS_LIMIT_MS } from '../support/child-process.js';

/** Whether Python is at hand and has this module. */
export function pythonHas(module: string): boolean {
  return spawnSync('python3', ['-c', `import ${module}`]).status === 0;
}

/** Where a script of this folder is. */
export function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Runs a script of this folder and answers the JSON that it printed. */
export async function runPython(name: string, ...args: string[]): Promise<unknown> {
  const { stdout } = await promisify(execFile)('python3', [script(name), ...args], { timeout: PROCESS_LIMIT_MS });
  return JSON.parse(stdout);
}
