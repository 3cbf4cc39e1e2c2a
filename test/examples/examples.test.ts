import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs an example as a user would; answers what it said. */
function run(
  example: string,
  args: readonly string[] = [],
  input = '',
): Promise<{ code: number | null; out: string; error: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', `examples/${example}`, ...args], {
      cwd: root,
      timeout: 60_000,
    });
    let out = '';
    let error = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      error += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, error }));
    child.stdin.end(input);
  });
}

const examples = readdirSync(`${root}/examples`).filter((name) => name.endsWith('.ts') && name !== 'quickstart.ts');

describe('every example', () => {
  it.each(examples)(
    '%s runs to its end and says so with exit code 0',
    async (example) => {
      const { code, out, error } = await run(example);
      expect({ code, error }).toEqual({ code: 0, error: '' });
      expect(out).not.toBe('');
    },
    70_000,
  );
});

describe('the quickstart', () => {
  it('publishes the packages of package-lock.json, stops a leader and reads all of it back', async () => {
    const { code, out, error } = await run('quickstart.ts');
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain('was stopped half-way');
    expect(out).toContain('Everything published was read back, once and in order.');
  }, 70_000);

  it('publishes what stands on standard input', async () => {
    const { code, out } = await run('quickstart.ts', ['-'], 'one\ntwo\nthree\n');
    expect(code).toBe(0);
    expect(out).toContain('3 messages published');
  }, 70_000);

  it('says in one line that a file is missing, with exit code 2', async () => {
    const { code, error } = await run('quickstart.ts', ['no/such/file']);
    expect({ code, error }).toEqual({ code: 2, error: 'quickstart: cannot read no/such/file: no such file\n' });
  }, 70_000);
});
