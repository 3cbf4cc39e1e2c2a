import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

const MODULES: Readonly<Record<string, () => Promise<object>>> = {
  'liftbridge-client': () => import('liftbridge-client'),
  'liftbridge-test-broker': () => import('liftbridge-test-broker'),
  'node:assert/strict': () => import('node:assert/strict'),
  'node:fs/promises': () => import('node:fs/promises'),
  'node:os': () => import('node:os'),
  'node:path': () => import('node:path'),
  nats: () => import('nats'),
  selfsigned: () => import('selfsigned'),
};
const AsyncFunction = (async () => {}).constructor as new (
  ...code: string[]
) => (modules: Record<string, object>) => Promise<void>;

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
}

/** The TypeScript blocks of a document that are programs, by their heading. */
function programs(path: string): [heading: string, code: string][] {
  const text = read(path);
  let heading = path;
  const found: [string, string][] = [];
  for (const [, title, code] of text.matchAll(/^#+ (.+)$|^```ts\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else if (!code!.includes("from 'vitest'")) found.push([heading, code!]);
  }
  return found;
}

/** Runs a program as a module. */
async function run(code: string): Promise<void> {
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  const modules: Record<string, object> = {};
  for (const [, name] of code.matchAll(/^import .* from '(.+)';$/gm)) modules[name!] = await MODULES[name!]!();
  const body = outputText
    .replace(/^import (\w+) from '(.+)';$/gm, "const { default: $1 } = modules['$2'];")
    .replace(/^import \{(.+)\} from '(.+)';$/gm, (_, names: string, name: string) => {
      return `const {${names.replaceAll(' as ', ': ')}} = modules['${name}'];`;
    });
  await new AsyncFunction('modules', body)(modules);
}

describe.each(['docs/testing.md', 'test-broker/README.md'])('%s', (path) => {
  it.each(programs(path))('shows the real output under "%s"', async (_heading, code) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    onTestFinished(() => log.mockRestore());
    await run(code);
    // A comment after a console.log contains the expected output.
    const promised = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, printed]) => printed);
    expect(log.mock.calls.map((printed) => printed.map(shown).join(' '))).toEqual(promised);
  });
});

const recorded = fileURLToPath(new URL('../../../shared/conformance/scenarios', import.meta.url));

describe.skipIf(!existsSync(recorded))('the table of recorded exchanges (skipped without ../shared)', () => {
  it('counts the replayed exchanges', () => {
    const [, rows] = /^\| recorded .*\n.*\n((?:\|.*\n)+)/m.exec(read('docs/testing.md'))!;
    const counts = [...rows!.matchAll(/\| (\d+) (?=\|)/g)].map(([, count]) => Number(count));
    const files = readdirSync(recorded).map((name) => JSON.parse(read(`../shared/conformance/scenarios/${name}`)));
    const lengths = files.map((file: unknown[] | { scenarios: unknown[] }) =>
      Array.isArray(file) ? file.length : file.scenarios.length,
    );
    const ascending = (a: number, b: number): number => a - b;
    expect(counts.sort(ascending)).toEqual(lengths.sort(ascending));
    expect(counts.reduce((sum, count) => sum + count)).toBe(277);
  });
});

function shown(value: unknown): string {
  return typeof value === 'bigint' ? `${value}n` : String(value);
}
