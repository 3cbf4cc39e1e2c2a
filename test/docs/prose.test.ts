import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Words for which plain standard English has a better one. */
const AVOIDED = /\b(nobody|whoever|anew|so many|signs? of life|rooms|walls)\b/i;
const PLACES = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs', 'examples', 'bench', 'test-broker/README.md'],
  'src',
  'test-broker/src',
  'test/integration',
  ...['admin', 'cluster', 'consumer', 'subscribe', 'transport'].map((folder) => `test/unit/${folder}`),
];

function textsIn(place: string): string[] {
  if (statSync(place).isFile()) return [place];
  const names = readdirSync(place, { recursive: true, encoding: 'utf8' });
  const texts = names.filter((name) => /\.(md|ts)$/.test(name)).map((name) => join(place, name));
  // The comments of generated files come from the .proto files of the server.
  return texts.filter((path) => !path.startsWith('src/protocol/generated'));
}

describe('documents, examples, comments and test titles', () => {
  it('use plain standard English', () => {
    const texts = PLACES.flatMap(textsIn);
    const found = texts.flatMap((path) =>
      readFileSync(path, 'utf8')
        .split('\n')
        .flatMap((line, index) => {
          const [word] = AVOIDED.exec(line) ?? [];
          return word === undefined ? [] : [`${path}:${index + 1}: ${word}`];
        }),
    );
    expect(texts.length).toBeGreaterThan(40);
    expect(found).toEqual([]);
  });
});
