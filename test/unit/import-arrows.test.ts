import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'src');
const brokerSource = join(root, 'test-broker/src');

/** The folders that each folder of the client may import from, beside itself and the leaves. */
const ARROWS: Record<string, readonly string[]> = {
  async: [],
  collections: [],
  protocol: [],
  transport: ['protocol'],
  cluster: ['transport', 'protocol'],
  admin: ['cluster', 'protocol'],
  publish: ['cluster', 'transport', 'protocol'],
  subscribe: ['admin', 'cluster', 'transport', 'protocol'],
  consumer: ['subscribe', 'publish', 'admin', 'cluster', 'transport', 'protocol'],
  envelope: ['protocol'],
  nats: ['envelope', 'protocol'],
  errors: ['protocol', 'transport'],
  options: ['errors', 'transport'],
};
const LEAVES = ['async', 'collections', 'errors', 'options'];
/** The entry points of the package, which put the folders together. */
const SURFACES = ['index', 'client', 'client-readers', 'connect', 'diagnostics', 'envelope', 'nats', 'protocol'];

/** All that other folders may import from cluster/. */
const CLUSTER_API = 'src/cluster/cluster-api.ts';
/** Connecting makes the cluster, so only the entry points import these. */
const CLUSTER_CONSTRUCTION = ['src/cluster/router.ts', 'src/cluster/addresses.ts'];

/** The folders that each folder of the broker may import from, beside itself. The files beside the folders are leaves. */
const BROKER_ARROWS: Record<string, readonly string[]> = {
  grpc: [],
  log: [],
  nats: [],
  faults: ['grpc'],
  groups: ['grpc'],
  recovery: [],
  cluster: ['faults', 'grpc', 'groups', 'log', 'nats', 'recovery'],
  publish: ['cluster', 'grpc', 'nats'],
  cursors: ['cluster', 'grpc', 'log', 'publish'],
  activity: ['cluster', 'grpc', 'publish'],
  api: ['activity', 'cluster', 'cursors', 'grpc', 'groups', 'log', 'nats', 'publish'],
};

/** Files that still import each other in a circle. Remove an entry when the circle is gone; add none. */
const KNOWN_CIRCLES: readonly (readonly string[])[] = [];

/** One import; both ends are paths from the root of the repository. */
interface Arrow {
  readonly from: string;
  readonly to: string;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Every import and re-export of another file of the package, type imports included. */
function arrowsOf(file: string): Arrow[] {
  const text = readFileSync(file, 'utf8');
  const named = text.matchAll(/^\s*(?:import|export)\s+[^;'"]*?from\s+'(\.[^']+)'/gm);
  const dynamic = text.matchAll(/\bimport\(\s*'(\.[^']+)'\s*\)/g);
  const bare = text.matchAll(/^\s*import\s+'(\.[^']+)'/gm);
  return [...named, ...dynamic, ...bare].map(([, target]) => ({
    from: relative(root, file),
    to: relative(root, resolve(dirname(file), target!.replace(/\.js$/, '.ts'))),
  }));
}

/** The folder of a file below the source folder; the name of the file itself when it lies beside the folders. */
function folderOf(file: string, below: string): string {
  return relative(below, join(root, file)).split('/')[0]!.replace(/\.ts$/, '');
}

function isInFolder(file: string, below: string): boolean {
  return relative(below, join(root, file)).includes('/');
}

/** The groups of files that import each other in a circle: strongly connected components by Tarjan's algorithm. */
function circlesIn(arrows: readonly Arrow[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of arrows) targets.set(from, [...(targets.get(from) ?? []), to]);
  const numbers = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): void => {
    const number = numbers.size;
    numbers.set(file, number);
    lowest.set(file, number);
    stack.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!numbers.has(target)) visit(target);
      if (stack.includes(target)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(target)!));
    }
    if (lowest.get(file) !== number) return;
    const circle = stack.splice(stack.indexOf(file)).sort();
    if (circle.length > 1 || targets.get(file)?.includes(file)) circles.push(circle);
  };
  for (const file of targets.keys()) if (!numbers.has(file)) visit(file);
  return circles;
}

const client = filesIn(source).flatMap(arrowsOf);
const broker = filesIn(brokerSource).flatMap(arrowsOf);

describe('the folders of the client', () => {
  it('import only from the folders below them', () => {
    const wrong = client
      .filter(({ from }) => isInFolder(from, source))
      .filter(({ from, to }) => {
        const [importer, imported] = [folderOf(from, source), folderOf(to, source)];
        return importer !== imported && !LEAVES.includes(imported) && !ARROWS[importer]?.includes(imported);
      });
    expect(wrong).toEqual([]);
  });

  it('are those that the table of arrows names', () => {
    const inside = filesIn(source).map((file) => relative(root, file));
    const folders = inside.filter((file) => isInFolder(file, source)).map((file) => folderOf(file, source));
    expect(new Set(folders)).toEqual(new Set(Object.keys(ARROWS)));
  });

  it('import of cluster/ only its interface', () => {
    const wrong = client
      .filter(({ from, to }) => folderOf(to, source) === 'cluster' && folderOf(from, source) !== 'cluster')
      .filter(({ to }) => to !== CLUSTER_API)
      .filter(
        ({ from, to }) => !(['src/client.ts', 'src/connect.ts'].includes(from) && CLUSTER_CONSTRUCTION.includes(to)),
      );
    expect(wrong).toEqual([]);
  });

  it('never import the test broker', () => {
    const importers = filesIn(source).filter((file) =>
      /from '(liftbridge-test-broker|.*test-broker)/.test(readFileSync(file, 'utf8')),
    );
    expect(importers).toEqual([]);
  });
});

describe('the files beside the folders of the client', () => {
  it('are the entry points of the package and its leaves', () => {
    const beside = filesIn(source)
      .map((file) => relative(root, file))
      .filter((file) => !isInFolder(file, source))
      .map((file) => folderOf(file, source));
    expect(beside.filter((name) => !SURFACES.includes(name) && !LEAVES.includes(name))).toEqual([]);
  });
});

describe('the test broker', () => {
  // Public types come from the main entry: beside the wire types they would bring in those of @bufbuild/protobuf.
  it('imports the code of the client only as liftbridge-client/protocol', () => {
    const wrong = filesIn(brokerSource).filter((file) => {
      const text = readFileSync(file, 'utf8');
      return /^(?!import type .* from 'liftbridge-client';$).*from '(liftbridge-client(?!\/protocol')|(?:\.\.\/)+src\/)/m.test(
        text,
      );
    });
    expect(wrong).toEqual([]);
  });

  it('has folders that import only from the folders below them', () => {
    const wrong = broker
      .filter(({ from, to }) => isInFolder(from, brokerSource) && isInFolder(to, brokerSource))
      .filter(({ from, to }) => {
        const [importer, imported] = [folderOf(from, brokerSource), folderOf(to, brokerSource)];
        return importer !== imported && !BROKER_ARROWS[importer]?.includes(imported);
      });
    expect(wrong).toEqual([]);
  });

  it('has the folders that the table of arrows names', () => {
    const inside = filesIn(brokerSource).map((file) => relative(root, file));
    const folders = inside.filter((file) => isInFolder(file, brokerSource));
    expect(new Set(folders.map((file) => folderOf(file, brokerSource)))).toEqual(new Set(Object.keys(BROKER_ARROWS)));
  });
});

describe('the files of both packages', () => {
  const circles = [...circlesIn(client), ...circlesIn(broker)];

  it('import each other in no circle, type imports included', () => {
    const unknown = circles.filter(
      (circle) => !KNOWN_CIRCLES.some((known) => circle.every((file) => known.includes(file))),
    );
    expect(unknown).toEqual([]);
  });

  it('leave no entry in the list of known circles that is gone', () => {
    const gone = KNOWN_CIRCLES.filter(
      (known) => !circles.some((circle) => circle.every((file) => known.includes(file))),
    );
    expect(gone).toEqual([]);
  });
});

describe('circlesIn', () => {
  const arrows = (...pairs: readonly string[]): Arrow[] => pairs.map((pair) => ({ from: pair[0]!, to: pair[1]! }));

  it('finds two circles and leaves out the files that only lead to them', () => {
    expect(circlesIn(arrows('ab', 'bc', 'cb', 'cd', 'de', 'ef', 'fd')).sort()).toEqual([
      ['b', 'c'],
      ['d', 'e', 'f'],
    ]);
  });

  it('finds a file that imports itself', () => {
    expect(circlesIn(arrows('aa'))).toEqual([['a']]);
  });

  it('finds none where two ways lead to the same file', () => {
    expect(circlesIn(arrows('ab', 'ac', 'bd', 'cd'))).toEqual([]);
  });
});
