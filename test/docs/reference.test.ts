import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** Runs TypeDoc without writing anything; answers its exit code and what it said. */
function typedoc(): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve, reject) => {
    const args = ['node_modules/typedoc/bin/typedoc', '--emit', 'none', '--pretty', 'false'];
    const child = spawn(process.execPath, args, { timeout: 55_000, env: { ...process.env, NO_COLOR: '1' } });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk;
      });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}

describe('the reference', () => {
  it('finds everything that is exported documented', async () => {
    expect(await typedoc()).toEqual({ code: 0, said: '' });
  }, 60_000);
});
