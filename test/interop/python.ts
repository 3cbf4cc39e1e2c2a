import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { outputOf } from '../support/child-process.js';

/** Whether Python is installed and has this module. */
export function pythonHas(module: string): boolean {
  return spawnSync('python3', ['-c', `import ${module}`]).status === 0;
}

/** Where a script of this folder is. */
export function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Runs a script of this folder and answers the JSON that it printed. */
export async function runPython(name: string, ...args: string[]): Promise<unknown> {
  return JSON.parse(await outputOf('python3', [script(name), ...args]));
}
