import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as surface from '../../src/index.js';

interface Row {
  readonly code: string;
  readonly className: string;
  readonly retryable: string;
}

const cell = (text: string | undefined): string => (text ?? '').trim().replaceAll('`', '');

const rows: readonly Row[] = readFileSync('docs/errors.md', 'utf8')
  .split('\n')
  .filter((line) => /^\| `[A-Z_]+` \|/.test(line))
  .map((line) => {
    const [, code, className, retryable] = line.split('|');
    return { code: cell(code), className: cell(className), retryable: cell(retryable) };
  });

const union = [...readFileSync('src/errors/error-details.ts', 'utf8').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(
  ([, code]) => code!,
);

type AnyError = new (message: string, details: object) => surface.LiftbridgeError;
const classOf = (name: string): AnyError => Reflect.get(surface, name) as AnyError;

describe('the table of error codes', () => {
  it('has exactly the codes of ErrorCode, in order', () => {
    expect(union.length).toBeGreaterThan(20);
    expect(rows.map(({ code }) => code)).toEqual(union.toSorted());
  });

  it.each(rows)('names the class of $code and whether it is retryable', ({ code, className, retryable }) => {
    const error = new (classOf(className))('text', { reason: 'lost', status: 'UNKNOWN', text: 'text' });
    expect(error).toMatchObject({ code, name: className });
    const allowed = error.retryable ? ['yes', 'yes, but for tls-… reasons'] : ['no', 'sometimes'];
    expect(allowed).toContain(retryable);
  });
});

describe('the table of reasons of a ConnectionError', () => {
  it('has exactly those of ConnectionErrorReason', () => {
    const [, section] = /^## Reasons\n([\s\S]*?)^## /m.exec(readFileSync('docs/connecting.md', 'utf8'))!;
    const documented = [...section!.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, reason]) => reason);
    const source = readFileSync('src/errors/error-details.ts', 'utf8');
    const [, declared] = /^export type ConnectionErrorReason =([\s\S]*?);$/m.exec(source)!;
    const reasons = [...declared!.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, reason]) => reason);
    expect(documented.toSorted()).toEqual(reasons.sort());
  });
});
