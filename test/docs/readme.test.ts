import { readFileSync } from 'node:fs';
import { TestBroker } from 'liftbridge-test-broker';
import { describe, expect, it } from 'vitest';
import { runNode } from '../support/child-process.js';
import { type CodeBlock, codeBlocks, documents } from './code-blocks.js';
import { problems, programOf } from './type-check.js';

/** Names that the pages use without a declaration: objects that an earlier block has created, and functions of the reader. */
const GIVEN = `
import type * as liftbridge from 'liftbridge-client';
import type * as testing from 'liftbridge-test-broker';
declare global {
  const client: liftbridge.Client;
  const consumer: liftbridge.Consumer;
  const subscription: liftbridge.Subscription;
  const message: liftbridge.Message;
  const broker: testing.TestBroker;
  function readings(): AsyncIterable<liftbridge.OutgoingMessage>;
  function bill(...order: unknown[]): Promise<void>;
}
`;

const blocks = documents().flatMap(codeBlocks);

/** Empty lines before the code keep its line numbers equal to those of the document, so that errors point to the document. */
function asFile({ line, code }: CodeBlock): string {
  return `${'\n'.repeat(line - 1)}${code}`;
}

/** The language of each block; '' if it has none. */
function languagesOf(text: string): string[] {
  return [...text.matchAll(/^```(\w*)\n[\s\S]*?^```$/gm)].map(([, language]) => language!);
}

function nameOf({ file, line }: CodeBlock): string {
  return `${file.replaceAll('/', '~')}~${line}.ts`;
}

describe('the code in README.md and docs/', () => {
  it('specifies the language of each block: ts and typescript are compiled here, js and python run in test/packaging', () => {
    const languages = documents().flatMap((file) => languagesOf(readFileSync(file, 'utf8')));
    expect(new Set(languages)).toEqual(new Set(['ts', 'typescript', 'js', 'python', 'sh', 'text', 'mermaid']));
  });

  it('compiles, each block on its own', () => {
    const files = new Map(blocks.map((block) => [nameOf(block), asFile(block)]));
    const program = programOf(new Map([...files, ['given.ts', GIVEN]]), { noUncheckedIndexedAccess: false });
    expect(blocks.length).toBeGreaterThan(10);
    expect(problems(program, ['given.ts', ...files.keys()])).toEqual([]);
  });
});

describe("the README's first program", () => {
  const run = (code: string) => runNode(['--import', 'tsx', '--input-type=module', '--eval', code]);

  it('has at most ten lines, prints the messages that it published, and ends', async () => {
    const [first] = codeBlocks('README.md');
    expect(first!.code.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(10);
    await using broker = await TestBroker.start();
    const code = first!.code.replace('localhost:9292', broker.addresses[0]!);
    expect(await run(code)).toEqual({ code: 0, out: 'stored in partition 0 at offset 0\n0n hello\n', error: '' });
    expect((await run(code)).out).toBe('stored in partition 0 at offset 1\n0n hello\n');
  });

  it('follows directly after the installation', () => {
    const [install] = readFileSync('README.md', 'utf8').split('```ts');
    expect(install).toContain('npm install liftbridge-client\n');
    expect(install).not.toContain('## ');
  });

  it('is next to a command that starts a test broker', async () => {
    const [, second] = codeBlocks('README.md');
    expect(await run(second!.code)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\[ '127\.0\.0\.1:\d+' ]\n$/),
    });
  });
});
