import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Words that have a better alternative in plain standard English. */
const AVOIDED = /\b(nobody|whoever|anew|so many|signs? of life|rooms|walls)\b/i;
const TESTS = [
  'test-broker/test',
  ...[
    'integration',
    'docs',
    'packaging',
    'examples',
    'fuzz',
    'support',
    'interop',
    'real-cluster',
    'conventions.test.ts',
  ].map((name) => `test/${name}`),
];
const UNIT_TESTS = [
  'admin',
  'async',
  'cluster',
  'collections',
  'consumer',
  'envelope',
  'hostile',
  'nats',
  'protocol',
  'publish',
  'subscribe',
  'transport',
];
const PLACES = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs', 'examples', 'bench', 'test-broker/README.md'],
  'src',
  'test-broker/src',
  ...TESTS,
  ...UNIT_TESTS.map((folder) => `test/unit/${folder}`),
];
/** Phrases that the titles and comments of these tests avoid as well. */
const AVOIDED_IN_TESTS = /\b(whatever|goes on|hands? out|stands still|for good|at hand|taken for)\b/i;
const TITLE_OR_COMMENT = /^\s*(\/\/|\/?\*|(describe|it|test)\b|\]\)\()/;

function textsIn(place: string): string[] {
  if (statSync(place).isFile()) return [place];
  const names = readdirSync(place, { recursive: true, encoding: 'utf8' });
  const texts = names.filter((name) => /\.(md|ts)$/.test(name)).map((name) => join(place, name));
  // The comments of generated files come from the .proto files of the server, and this file lists the words.
  return texts.filter((path) => !path.startsWith('src/protocol/generated') && path !== 'test/docs/prose.test.ts');
}

function linesWith(words: RegExp, texts: readonly string[], where = /^/): string[] {
  return texts.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const [word] = (where.test(line) && words.exec(line)) || [];
        return word === undefined ? [] : [`${path}:${index + 1}: ${word}`];
      }),
  );
}

describe('documents, examples, comments and test titles', () => {
  it('use plain standard English', () => {
    const texts = PLACES.flatMap(textsIn);
    expect(texts.length).toBeGreaterThan(40);
    expect(linesWith(AVOIDED, texts)).toEqual([]);
  });

  it('use the terms of Kafka, NATS and gRPC in the tests', () => {
    const texts = TESTS.flatMap(textsIn);
    expect(texts.length).toBeGreaterThan(40);
    expect(linesWith(AVOIDED_IN_TESTS, texts, TITLE_OR_COMMENT)).toEqual([]);
  });
});
