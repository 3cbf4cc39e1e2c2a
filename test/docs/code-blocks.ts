import { readdirSync, readFileSync } from 'node:fs';

/** A block of TypeScript in a document. */
export interface CodeBlock {
  readonly file: string;
  /** Line of the document that the code begins at, from 1. */
  readonly line: number;
  readonly code: string;
}

/** The README and every page of docs/. */
export function documents(): string[] {
  const pages = readdirSync('docs').filter((name) => name.endsWith('.md'));
  return ['README.md', ...pages.map((name) => `docs/${name}`)];
}

/** The blocks marked as `ts` or `typescript`, in order. */
export function codeBlocks(file: string): CodeBlock[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```$/gm)].map((match) => ({
    file,
    line: text.slice(0, match.index).split('\n').length + 1,
    code: match[1]!,
  }));
}
