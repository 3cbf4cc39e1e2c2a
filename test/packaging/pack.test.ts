import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { connect } from 'liftbridge-client';
import { beforeAll, describe, expect, it } from 'vitest';
import { outputOf, ROOT as root, runNode, startProcess } from '../support/child-process.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A user's program, in both module systems. */
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

/** The first lines of a program, in both module systems. */
const LINES = {
  module: `import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
export const broker = await TestBroker.start();
export const client = await connect(broker.addresses);
export { decodeMessage } from 'liftbridge-client/envelope';
export { natsPublisher } from 'liftbridge-client/nats';
`,
  commonJs: `import { connect } from 'liftbridge-client';
import { TestBroker } from 'liftbridge-test-broker';
export const broker = TestBroker.start();
export const client = connect('localhost:9292');
export { decodeMessage } from 'liftbridge-client/envelope';
export { natsPublisher } from 'liftbridge-client/nats';
`,
};

type Combination = readonly [version: string, moduleResolution: string, nodeTypes: string];

const OLDEST_TYPES = '@types/node';
const NEWEST_TYPES = 'types-node-newest';
/**
 * Compiler, resolution and types of Node: each of them at least once, since each run takes seconds. `npm run test:compilers`
 * tries every combination. The newest types of Node need TypeScript 5.6.
 */
const COMBINATIONS: readonly Combination[] = [
  ['5.4', 'node16', OLDEST_TYPES],
  ['5.6', 'bundler', NEWEST_TYPES],
  ['5.9', 'node16', NEWEST_TYPES],
  ['6.0', 'bundler', OLDEST_TYPES],
  ['7.0', 'node16', OLDEST_TYPES],
  ['7.0', 'bundler', NEWEST_TYPES],
];

function everyCombination(): readonly Combination[] {
  return ['5.4', '5.6', '5.9', '6.0', '7.0'].flatMap((version) =>
    ['node16', 'bundler'].flatMap((moduleResolution) =>
      (version === '5.4' ? [OLDEST_TYPES] : [OLDEST_TYPES, NEWEST_TYPES]).map(
        (nodeTypes): Combination => [version, moduleResolution, nodeTypes],
      ),
    ),
  );
}

function unlessItExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** The compiler of a package; several are installed, so that node_modules/.bin/tsc may be any of them. */
const compiler = (name: string): string => join(root, 'node_modules', name, 'bin/tsc');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const recipe = (name: string): string => join(root, 'test/packaging/recipes', name);

describe('the packed packages', () => {
  let folder: string;
  let tarballs: string[];

  beforeAll(async () => {
    folder = temporaryDirectory();
    await outputOf('npm', ['run', 'build'], { cwd: root });
    await outputOf('npm', ['pack', '--pack-destination', folder], { cwd: root });
    await outputOf('npm', ['pack', '-w', 'liftbridge-test-broker', '--pack-destination', folder], { cwd: root });
    tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz')).map((name) => `./${name}`);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true }));
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...tarballs];
    await outputOf('npm', install, { cwd: folder });
  }, 600_000);

  it('run in an ES module', async () => {
    const imports = NAMES.map(([names, from]) => `import ${names} from '${from}';`).join('\n');
    await writeFile(join(folder, 'user.mjs'), `${imports}\n${PROGRAM}`);
    const output = await outputOf(process.execPath, ['user.mjs'], { cwd: folder });
    expect(output).toBe('0 hello x function\n');
  });

  it('run in a CommonJS module', async () => {
    const requires = NAMES.map(([names, from]) => `const ${names} = require('${from}');`).join('\n');
    await writeFile(join(folder, 'user.cjs'), `${requires}\n(async () => {${PROGRAM}})();`);
    const output = await outputOf(process.execPath, ['user.cjs'], { cwd: folder });
    expect(output).toBe('0 hello x function\n');
  });

  it('type-check in both module systems', async () => {
    const imports = NAMES.map(([names, from]) => `import ${names} from '${from}';`).join('\n');
    const typed = `${imports}\nexport async function main(): Promise<void> {${PROGRAM.replace('ack.offset', 'ack!.offset')}}\n`;
    await writeFile(join(folder, 'typed.mts'), typed);
    await writeFile(join(folder, 'typed.cts'), typed);
    const compilerOptions = {
      ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, target: 'es2022', module: 'nodenext' },
      ...{ lib: ['es2023', 'esnext.disposable'], typeRoots: [join(root, 'node_modules/@types')], types: ['node'] },
    };
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['typed.mts', 'typed.cts'] }),
    );
    const check = outputOf(process.execPath, [compiler('typescript-7.0'), '-p', '.'], { cwd: folder });
    await expect(check).resolves.toBe('');
  });

  it.each(process.env.LIFTBRIDGE_ALL_COMPILERS ? everyCombination() : COMBINATIONS)(
    'type-check with TypeScript %s, %s resolution and %s, declarations included',
    async (version, moduleResolution, nodeTypes) => {
      const path = compiler(version === '6.0' ? 'typescript' : `typescript-${version}`);
      expect(await outputOf(process.execPath, [path, '--version'])).toContain(`Version ${version}`);
      await mkdir(join(folder, nodeTypes), { recursive: true });
      await symlink(join(root, 'node_modules', nodeTypes), join(folder, nodeTypes, 'node')).catch(unlessItExists);
      await writeFile(join(folder, 'lines.mts'), LINES.module);
      await writeFile(join(folder, 'lines.cts'), LINES.commonJs);
      const compilerOptions = {
        ...{ noEmit: true, strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
        ...{ target: 'es2022', lib: ['es2022'], module: moduleResolution === 'node16' ? 'node16' : 'esnext' },
        ...{ moduleResolution, typeRoots: [join(folder, nodeTypes)], types: ['node'] },
      };
      const config = `tsconfig-${version}-${moduleResolution}-${basename(nodeTypes)}.json`;
      await writeFile(join(folder, config), JSON.stringify({ compilerOptions, files: ['lines.mts', 'lines.cts'] }));
      expect(await outputOf(process.execPath, [path, '-p', config], { cwd: folder })).toBe('');
    },
  );

  it('export the names that etc/ records', async () => {
    const check = ['scripts/api-report.mjs', '--check', join(folder, 'node_modules')];
    expect(await runNode(check)).toEqual({ code: 0, out: '', error: '' });
  });

  it('satisfy publint and Are The Types Wrong', async () => {
    for (const tarball of tarballs) {
      await outputOf(bin('publint'), [tarball, '--strict'], { cwd: folder });
      await outputOf(bin('attw'), [tarball], { cwd: folder });
    }
  });

  it('include a command that prints its version', async () => {
    const cli = join(folder, 'node_modules/.bin/liftbridge-test-broker');
    const output = await outputOf(cli, ['--version'], { cwd: folder });
    expect(output).toMatch(/\d+\.\d+\.\d+/);
  });

  it('include a command that serves a cluster until it is stopped', async () => {
    const cli = join(folder, 'node_modules/.bin/liftbridge-test-broker');
    const child = startProcess(cli, ['--port', '0', '--brokers', '3', '--nats-port', '0'], {
      cwd: folder,
    });
    const ended = once(child, 'exit');
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const [, addresses] = /^ready grpc=(\S+) nats=nats:\/\/\S+\n$/.exec(line.toString()) ?? [];
    expect(addresses?.split(',')).toHaveLength(3);
    await using client = await connect(addresses!.split(','));
    await client.createStream('greetings', 'greetings', { replicationFactor: 3 });
    await expect(client.publish('greetings', 'hello', { ackPolicy: 'all' })).resolves.toMatchObject({ offset: 0n });
    await client.close();
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('work in the node:test recipe', async () => {
    await copyFile(recipe('node.test.mjs'), join(folder, 'node.test.mjs'));
    const output = await outputOf(process.execPath, ['--test', 'node.test.mjs'], {
      cwd: folder,
    });
    expect(output).toMatch(/^# pass 1$/m);
  });

  it('work in the Jest recipe as CommonJS', async () => {
    for (const name of ['jest.test.js', 'jest-globals.cjs']) await copyFile(recipe(name), join(folder, name));
    const args = ['--require', './jest-globals.cjs', '--test', 'jest.test.js'];
    const output = await outputOf(process.execPath, args, { cwd: folder });
    expect(output).toMatch(/^# pass 1$/m);
  });

  it('have the same version: the broker uses internal types of exactly this client', async () => {
    const versionOf = async (name: string): Promise<{ version: string; dependencies: Record<string, string> }> =>
      JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8'));
    const [client, broker] = [await versionOf('liftbridge-client'), await versionOf('liftbridge-test-broker')];
    expect(broker.dependencies['liftbridge-client']).toBe(client.version);
  });

  it('have no install scripts', async () => {
    for (const name of ['liftbridge-client', 'liftbridge-test-broker']) {
      const output = await outputOf('npm', ['pkg', 'get', 'scripts'], { cwd: join(folder, 'node_modules', name) });
      const scripts = Object.keys(JSON.parse(output) as object);
      expect(scripts.filter((script) => /^(pre|post)?(install|prepare)/.test(script))).toEqual([]);
    }
  });
});

describe('docs/testing.md', () => {
  it.each(['vitest.test.ts', 'jest.test.js', 'node.test.mjs'])('shows the tested recipe %s', async (name) => {
    const guide = await readFile(join(root, 'docs/testing.md'), 'utf8');
    expect(guide).toContain(await readFile(recipe(name), 'utf8'));
  });
});
