import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { documents } from './code-blocks.js';

function links(file: string): string[] {
  const prose = readFileSync(file, 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!).filter((link) => !/^[a-z]+:/.test(link));
}

function leads(file: string, link: string): boolean {
  const [path, heading] = link.split('#');
  const target = path ? join(dirname(file), path) : file;
  if (!existsSync(target)) return false;
  return heading === undefined || headings(target).includes(heading);
}

function headings(file: string): string[] {
  const found = readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm);
  return [...found].map(([, text]) =>
    text!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('the links in README.md and docs/', () => {
  // The measurements are written last, and many pages link to them.
  it.skipIf(!existsSync('docs/performance.md'))('lead to files and headings that exist', () => {
    const broken = documents().flatMap((file) => links(file).filter((link) => !leads(file, link)));
    expect(broken).toEqual([]);
  });
});

describe('the files that docs/architecture.md names', () => {
  it('exist in the client or in the test broker', () => {
    const text = readFileSync('docs/architecture.md', 'utf8');
    const named = [...text.matchAll(/`([\w/.-]+\/[\w.-]+\.ts)`/g)].map(([, file]) => file!);
    expect(named.length).toBeGreaterThan(0);
    const folders = ['.', 'src', 'test-broker/src'];
    expect(named.filter((file) => !folders.some((folder) => existsSync(join(folder, file))))).toEqual([]);
  });
});
