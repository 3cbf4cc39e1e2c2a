// Writes etc/*.api.md: the declarations that each entry point of the built packages exports, without comments, and the
// declarations that they refer to. `--check FOLDER` compares the reports with the packages below FOLDER instead and
// fails when they differ.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const BUILT = { 'liftbridge-client': root, 'liftbridge-test-broker': `${root}test-broker/` };
const ENTRIES = [
  { report: 'client', from: 'liftbridge-client', file: 'index' },
  { report: 'client-envelope', from: 'liftbridge-client', file: 'envelope' },
  { report: 'client-nats', from: 'liftbridge-client', file: 'nats' },
  // Internal: its names are enough, without the generated messages.
  { report: 'client-protocol', from: 'liftbridge-client', file: 'protocol', exportedOnly: true },
  { report: 'test-broker', from: 'liftbridge-test-broker', file: 'index' },
];

const { values } = parseArgs({ options: { check: { type: 'string' } } });
const installed = values.check;
const changed = ENTRIES.filter((entry) => !settle(entry)).map(({ report }) => `etc/${report}.api.md`);
if (changed.length > 0) {
  console.error(`The public API differs from ${changed.join(', ')}. If that is intended, run: npm run api`);
  process.exitCode = 1;
}

/** Writes or compares one report; true when it is right now. */
function settle({ report, from, file, exportedOnly = false }) {
  const folder = installed === undefined ? BUILT[from] : `${installed}/${from}/`;
  const text = reportOf(`${folder}dist/${file}.d.ts`, file === 'index' ? from : `${from}/${file}`, exportedOnly);
  const path = `${root}etc/${report}.api.md`;
  if (installed !== undefined) return existsSync(path) && readFileSync(path, 'utf8') === text;
  writeFileSync(path, text);
  return true;
}

function reportOf(path, name, exportedOnly) {
  // Symbols are enough: no library and no other package is read.
  const program = ts.createProgram([path], { noLib: true, types: [], target: ts.ScriptTarget.ESNext });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(path);
  if (source === undefined) throw new Error(`${path} is missing: run npm run build`);
  const exported = new Map();
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(source)))
    exported.set(symbol.name, target(symbol));
  const known = new Set(exported.values());
  const referred = new Map();
  // A set grows while it is walked: what a referred declaration refers to is found too.
  for (const symbol of known) for (const declaration of symbol.declarations ?? []) visit(declaration);

  return [
    `# API of \`${name}\``,
    '',
    'Written by `npm run api`, compared by the tests. Do not edit.',
    '',
    ...section('Exported', exported),
    ...(exportedOnly ? [] : section('Referred to, not exported', referred)),
  ].join('\n');

  function target(symbol) {
    return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  }

  function visit(node) {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      if (symbol !== undefined) refer(target(symbol));
    }
    ts.forEachChild(node, visit);
  }

  function refer(symbol) {
    const isOurs = symbol.declarations?.some(({ parent }) => {
      const statement = ts.isVariableDeclarationList(parent) ? parent.parent : undefined;
      return ts.isSourceFile((statement ?? { parent }).parent);
    });
    if (!isOurs || known.has(symbol)) return;
    known.add(symbol);
    referred.set(symbol.name, symbol);
  }
}

function section(title, symbols) {
  if (symbols.size === 0) return [];
  const names = [...symbols.keys()].sort();
  const texts = names.flatMap((name) => (symbols.get(name).declarations ?? []).map((node) => print(name, node)));
  return [`## ${title}`, '', '```ts', texts.join('\n\n'), '```', ''];
}

function print(name, declaration) {
  if (ts.isSourceFile(declaration) || ts.isModuleDeclaration(declaration)) return `namespace ${name}`;
  const isVariable = ts.isVariableDeclaration(declaration);
  const node = isVariable ? declaration.parent.parent : declaration;
  const printer = ts.createPrinter({ removeComments: true });
  return printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile());
}
