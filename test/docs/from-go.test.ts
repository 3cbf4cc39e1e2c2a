import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exportsOf, problems, programOf } from './type-check.js';

interface Row {
  readonly go: readonly string[];
  readonly here: readonly string[];
  readonly remark: string;
}

const spans = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

const table: readonly Row[] = readFileSync('docs/from-go-liftbridge.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|') && !line.startsWith('|---') && !line.startsWith('| go-liftbridge'))
  .map((line) => {
    const [, go = '', here = '', remark = ''] = line.split('|');
    return { go: spans(go), here: here.trim() === 'none' ? [] : spans(here), remark: remark.trim() };
  });

const MODULES = ['liftbridge-client', 'liftbridge-client/envelope', 'liftbridge-client/nats'];
/** The name of an instance in the table. */
const INSTANCES: Readonly<Record<string, string>> = { client: 'Client', consumer: 'Consumer' };

/** A declaration that compiles only if the name exists: `name`, `Type.member` or `Type.member: value`. */
function claim(code: string, at: number): string {
  const [, owner, member, value] = /^(\w+)(?:\.(\w+)(?:: (.+))?)?$/.exec(code) ?? [];
  if (owner === undefined) return `not a name: ${code}`;
  if (member === undefined) return `export type { ${owner} as Claim${at} } from './surface.js';`;
  const type = `surface.${INSTANCES[owner] ?? owner}['${member}']`;
  return value === undefined ? `export type Claim${at} = ${type};` : `export const claim${at}: ${type} = ${value};`;
}

const names = table.flatMap(({ here }) => here);
const claims = names.map(claim);

describe('the migration table for users of go-liftbridge', () => {
  it('names only existing exports, with valid values', () => {
    const surface = MODULES.map((module) => `export * from '${module}';`).join('\n');
    const text = ["import type * as surface from './surface.js';", ...claims].join('\n');
    const program = programOf(
      new Map([
        ['surface.ts', surface],
        ['claims.ts', text],
      ]),
    );
    expect(exportsOf(program, 'surface.ts').size).toBeGreaterThan(50);
    expect(claims.length).toBeGreaterThan(150);
    expect(problems(program, ['claims.ts'])).toEqual([]);
  });

  it('has every name that go-liftbridge v2 exports', () => {
    const exported = readFileSync('test/docs/go-names.txt', 'utf8').trim().split('\n');
    const go = new Set(table.flatMap((row) => row.go));
    expect(exported.filter((name) => !go.has(name))).toEqual([]);
  });

  it('has each Go name once', () => {
    const go = table.flatMap((row) => row.go);
    expect(go.filter((name, at) => go.indexOf(name) !== at)).toEqual([]);
  });

  it('gives an equivalent or an alternative for each Go name', () => {
    expect(table.filter(({ go }) => go.length === 0)).toEqual([]);
    expect(table.filter(({ here, remark }) => here.length === 0 && remark === '')).toEqual([]);
  });

  it('uses every section of the guide', () => {
    const sections = readFileSync('docs/from-go-liftbridge.md', 'utf8').match(/^## .+$/gm);
    expect(sections).toEqual([
      '## Connecting',
      '## Streams',
      '## Publishing',
      '## Subscribing',
      '## Cursors',
      '## Consumer groups',
      '## Metadata',
      '## Messages and envelopes',
      '## Errors',
      '## What behaves differently, and why',
    ]);
  });
});
