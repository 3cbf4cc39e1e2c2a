import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'src');

/** The rooms that each room may import from, beside itself. `async`, `collections`, `errors` and `options` are leaves that all may use. */
const ARROWS: Record<string, readonly string[]> = {
  async: [],
  collections: [],
  protocol: [],
  transport: ['protocol'],
  cluster: ['transport', 'protocol'],
  publish: ['cluster', 'transport', 'protocol'],
  subscribe: ['cluster', 'transport', 'protocol'],
  consumer: ['subscribe', 'publish', 'cluster', 'transport', 'protocol'],
  envelope: ['protocol'],
  nats: ['envelope', 'protocol'],
  errors: ['protocol', 'transport'],
  options: ['errors', 'transport'],
};
const LEAVES = ['async', 'collections', 'errors', 'options'];
/** The surfaces of the package, which put the rooms together. */
const SURFACES = ['index', 'client', 'client-calls', 'diagnostics', 'envelope', 'nats', 'protocol'];

interface Arrow {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function roomOf(file: string): string {
  return relative(source, file).split('/')[0]!.replace(/\.ts$/, '');
}

function arrowsOf(file: string): Arrow[] {
  const imports = readFileSync(file, 'utf8').matchAll(/^\s*(?:import|export)\s+(type\s+)?[^;'"]*?from\s+'(\.[^']+)'/gm);
  return [...imports].map(([, typeOnly, target]) => ({
    file: relative(root, file),
    from: roomOf(file),
    to: roomOf(resolve(dirname(file), target!.replace(/\.js$/, '.ts'))),
    typeOnly: typeOnly !== undefined,
  }));
}

const inside = files(source).filter((file) => relative(source, file).includes('/'));

describe('the rooms of the client', () => {
  it('import only from the rooms below them', () => {
    const wrong = inside
      .flatMap(arrowsOf)
      .filter(({ from, to }) => from !== to && !LEAVES.includes(to) && !ARROWS[from]?.includes(to));
    expect(wrong).toEqual([]);
  });

  it('are those that the house has', () => {
    expect(new Set(inside.map(roomOf))).toEqual(new Set(Object.keys(ARROWS)));
  });

  it('never import the test broker', () => {
    const broker = files(source).filter((file) =>
      /from '(liftbridge-test-broker|.*test-broker)/.test(readFileSync(file, 'utf8')),
    );
    expect(broker).toEqual([]);
  });
});

describe('the files beside the rooms', () => {
  it('are the surfaces of the package and its leaves', () => {
    const beside = files(source)
      .filter((file) => !relative(source, file).includes('/'))
      .map(roomOf);
    expect(beside.filter((name) => !SURFACES.includes(name) && !LEAVES.includes(name))).toEqual([]);
  });
});

describe('the test broker', () => {
  it('imports the client only as liftbridge-client/protocol', () => {
    const broker = files(join(root, 'test-broker/src'));
    const wrong = broker.filter((file) => {
      const text = readFileSync(file, 'utf8');
      return /from '(liftbridge-client(?!\/protocol')|(?:\.\.\/)+src\/)/.test(text);
    });
    expect(wrong).toEqual([]);
  });
});
