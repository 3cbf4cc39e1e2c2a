import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = new URL('../../..', import.meta.url);

// Tells every module that is resolved, from the thread that resolves.
const recorder = `
  import { writeSync } from 'node:fs';
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context);
    writeSync(1, found.url + '\\n');
    return found;
  }
`;
const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const registration = asUrl(`
  import { register } from 'node:module';
  register(${JSON.stringify(asUrl(recorder))});
`);
const program = `
  const { encodeMessage, decodeMessage } = await import('${new URL('src/envelope.ts', root)}');
  if (decodeMessage(encodeMessage('v')).text() !== 'v') throw new Error('the subpath does not work');
`;

/** Every module that a process resolves to load the subpath and use it. */
function resolvedModules(): string[] {
  const flags = ['--import', 'tsx', '--import', registration, '--input-type=module', '--eval', program];
  const output = execFileSync(process.execPath, flags, { cwd: fileURLToPath(root), encoding: 'utf8' });
  return [...new Set(output.split('\n').filter((url) => url !== ''))];
}

describe('liftbridge-client/envelope', () => {
  const modules = resolvedModules();

  it('loads no module of Node that opens connections', () => {
    const builtin = modules.filter((url) => url.startsWith('node:'));
    expect(builtin.sort()).toEqual(['node:buffer', 'node:util']);
  });

  it('loads no package but the checksum', () => {
    const packages = modules.filter((url) => url.includes('/node_modules/'));
    expect(packages.map((url) => url.split('/node_modules/')[1])).toEqual(['crc-32/crc32c.js']);
  });

  it('loads no source of the client but codecs, errors and options', () => {
    const sources = modules.filter((url) => url.startsWith(`${new URL('src/', root)}`));
    const folders = sources.map((url) => url.slice(`${new URL('src/', root)}`.length).replace(/[./].*/, ''));
    expect([...new Set(folders)].sort()).toEqual(['envelope', 'errors', 'options', 'protocol']);
  });
});
