import { describe, expect, it } from 'vitest';
import { runNode } from '../support/child-process.js';
import { type CodeBlock, codeBlocks, documents } from './code-blocks.js';
import { problems, programOf } from './type-check.js';

/** What the pages take for granted: objects once they have shown where those come from, and functions of the reader's own. */
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

/** Lines before the code stand where the document's own lines do, so that a problem is told by the line of the document. */
function asFile({ line, code }: CodeBlock): string {
  return `${'\n'.repeat(line - 1)}${code}`;
}

function nameOf({ file, line }: CodeBlock): string {
  return `${file.replaceAll('/', '~')}~${line}.ts`;
}

describe('the code in README.md and docs/', () => {
  it('compiles, each block by itself', () => {
    const files = new Map(blocks.map((block) => [nameOf(block), asFile(block)]));
    const program = programOf(new Map([...files, ['given.ts', GIVEN]]), { noUncheckedIndexedAccess: false });
    expect(blocks.length).toBeGreaterThan(10);
    expect(problems(program, ['given.ts', ...files.keys()])).toEqual([]);
  });
});

describe("the README's first program", () => {
  it('prints what it published, and ends', async () => {
    const [first] = codeBlocks('README.md');
    const ended = await runNode(['--import', 'tsx', '--input-type=module', '--eval', first!.code]);
    expect(ended).toEqual({ code: 0, out: '0n hello\n', error: '' });
  });
});
