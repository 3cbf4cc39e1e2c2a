import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A program of a user, in both module systems. */
const PROGRAM = `
  const broker = await TestBroker.start();
  const client = await connect(broker.addresses);
  await client.createStream('greetings', 'greetings');
  const ack = await client.publish('greetings', 'hello', { key: 'k' });
  const subscription = await client.subscribe('greetings', { startAt: 'earliest' });
  for await (const message of subscription) {
    console.log(ack.offset + ' ' + message.text() + ' ' + decodeMessage(encodeMessage('x')).text() + ' ' + typeof natsPublisher);
    break;
  }
  await client.close();
  await broker.close();
`;
const NAMES = [
  ['{ connect }', 'liftbridge-client'],
  ['{ decodeMessage, encodeMessage }', 'liftbridge-client/envelope'],
  ['{ natsPublisher }', 'liftbridge-client/nats'],
  ['{ TestBroker }', 'liftbridge-test-broker'],
];

describe('the packed packages', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'liftbridge-pack-'));
    await run('npm', ['run', 'build'], { cwd: root });
    await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
    await run('npm', ['pack', '-w', 'liftbridge-test-broker', '--pack-destination', folder], { cwd: root });
    const tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => `./${name}`);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true }));
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...tarballs];
    await run('npm', install, { cwd: folder });
  }, 240_000);

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('run in an ES module', async () => {
    const imports = NAMES.map(([names, from]) => `import ${names} from '${from}';`).join('\n');
    await writeFile(join(folder, 'user.mjs'), `${imports}\n${PROGRAM}`);
    const { stdout } = await run(process.execPath, ['user.mjs'], { cwd: folder, timeout: 20_000 });
    expect(stdout).toBe('0 hello x function\n');
  });

  it('run in a CommonJS module', async () => {
    const requires = NAMES.map(([names, from]) => `const ${names} = require('${from}');`).join('\n');
    await writeFile(join(folder, 'user.cjs'), `${requires}\n(async () => {${PROGRAM}})();`);
    const { stdout } = await run(process.execPath, ['user.cjs'], { cwd: folder, timeout: 20_000 });
    expect(stdout).toBe('0 hello x function\n');
  });

  it('type-check in both module systems', async () => {
    const imports = NAMES.map(([names, from]) => `import ${names} from '${from}';`).join('\n');
    const typed = `${imports}\nexport async function main(): Promise<void> {${PROGRAM.replace('ack.offset', 'ack!.offset')}}\n`;
    await writeFile(join(folder, 'typed.mts'), typed);
    await writeFile(join(folder, 'typed.cts'), typed);
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'];
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--target',
      'es2022',
      '--module',
      'nodenext',
      '--lib',
      'es2023,esnext.disposable',
    ];
    const check = run(process.execPath, [tsc, ...options, ...types, 'typed.mts', 'typed.cts'], { cwd: folder });
    await expect(check).resolves.toMatchObject({ stdout: '' });
  }, 60_000);

  it('bring a command that tells its version', async () => {
    const cli = join(folder, 'node_modules/.bin/liftbridge-test-broker');
    const { stdout } = await run(cli, ['--version'], { cwd: folder, timeout: 20_000 });
    expect(stdout).toMatch(/\d+\.\d+\.\d+/);
  });

  it('have no install scripts', async () => {
    for (const name of ['liftbridge-client', 'liftbridge-test-broker']) {
      const { stdout } = await run('npm', ['pkg', 'get', 'scripts'], { cwd: join(folder, 'node_modules', name) });
      const scripts = Object.keys(JSON.parse(stdout) as object);
      expect(scripts.filter((script) => /^(pre|post)?(install|prepare)/.test(script))).toEqual([]);
    }
  });
});
