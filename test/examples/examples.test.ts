import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Ended, type Lifetime, ROOT, runToEnd, startProcess } from '../support/child-process.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** Runs an example as a user does. */
function run(example: string, args: readonly string[] = [], input = '', lifetime: Lifetime = 'test'): Promise<Ended> {
  return runToEnd(process.execPath, ['--import', 'tsx', `examples/${example}`, ...args], { input, lifetime });
}

const examples = readdirSync(`${ROOT}/examples`).filter((name) => name.endsWith('.ts') && name !== 'quickstart.ts');

/** Number of examples that run at the same time: they wait more than they compute. */
const LANES = 3;

describe('every example', () => {
  const runs = new Map<string, Promise<Ended>>();

  beforeAll(() => {
    const lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());
    for (const [index, example] of examples.entries()) {
      const ended = lanes[index % LANES]!.then(() => run(example, [], '', 'file'));
      runs.set(example, ended);
      // The test of the example reports a failure.
      lanes[index % LANES] = ended.catch(() => undefined);
    }
  });

  it.each(examples)('%s runs to its end and exits with code 0', async (example) => {
    const { code, out, error } = await runs.get(example)!;
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).not.toBe('');
  });
});

describe('the quickstart', () => {
  it('publishes the packages of package-lock.json, restarts a leader and reads all packages back', async () => {
    const { code, out, error } = await run('quickstart.ts');
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain('was stopped half-way');
    expect(out).toMatch(/it was started again, and held every partition in sync \d+ ms later/);
    expect(out).toContain('Everything published was read back, once and in order.');
  });

  it('publishes the lines of standard input', async () => {
    const { code, out } = await run('quickstart.ts', ['-'], 'one\ntwo\nthree\n');
    expect(code).toBe(0);
    expect(out).toContain('3 messages published');
  });

  it('reports a missing file in one line, with exit code 2', async () => {
    const { code, error } = await run('quickstart.ts', ['no/such/file']);
    expect({ code, error }).toEqual({ code: 2, error: 'quickstart: cannot read no/such/file: no such file\n' });
  });

  it('reads back the lines of a binary file, byte for byte', async () => {
    const file = join(temporaryDirectory(), 'binary');
    writeFileSync(file, Buffer.from([0xff, 0x00, 0xfe, 0x0a, 0x0a, 0xc3, 0x28, 0x0d, 0x0a, 0x80]));
    const { code, out, error } = await run('quickstart.ts', [file]);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain('4 messages published');
    expect(out).toContain('Everything published was read back, once and in order.');
  });

  it('reports in one line that an input line is too large for a message, and ends', async () => {
    const input = `one\n${'x'.repeat(5_000_000)}\nthree\n`;
    const { code, error } = await run('quickstart.ts', ['-'], input);
    expect(code).toBe(2);
    expect(error).toMatch(/^quickstart: message \d of a partition, of 5,000,000 bytes, cannot be stored: .*\n$/);
  });

  it('shows its help, rejects unknown options, and reports in one line that the cluster is down', async () => {
    const help = await run('quickstart.ts', ['--help']);
    expect(help).toMatchObject({ code: 0, error: '', out: expect.stringContaining('npm run quickstart -- FILE') });
    expect((await run('quickstart.ts', ['--fast'])).error).toMatch(/^quickstart: expected one FILE, got --fast.*\n$/);
    const env = { ...process.env, LIFTBRIDGE_ADDRESSES: '127.0.0.1:1' };
    const down = await runToEnd(process.execPath, ['--import', 'tsx', 'examples/quickstart.ts'], { env });
    expect(down).toMatchObject({ code: 1, out: 'Connecting to 127.0.0.1:1 ...\n' });
    expect(down.error).toMatch(/^quickstart: connect failed: .*127\.0\.0\.1:1: no process listens there.*\n$/);
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  // Without the tool `script` the test has no terminal to interrupt.
  it.skipIf(!hasScript)('restores the terminal cursor on Ctrl-C', async () => {
    const file = join(temporaryDirectory(), 'lines');
    writeFileSync(file, 'line\n'.repeat(2_000_000));
    const command = `${process.execPath} --import tsx examples/quickstart.ts ${file}`;
    const child = startProcess('script', ['-qefc', command, '/dev/null'], { cwd: ROOT, stdio: 'pipe' });
    let out = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk;
    });
    const ended = once(child, 'exit');
    await expect.poll(() => out).toContain('\u001b[?25l');
    await expect.poll(() => out).toMatch(/[1-9]\d* published/);
    child.stdin!.write('\u0003');
    expect((await ended)[0]).toBe(130);
    expect(out).toContain('quickstart: interrupted');
    expect(out.lastIndexOf('\u001b[?25h')).toBeGreaterThan(out.lastIndexOf('\u001b[?25l'));
  });
});
