import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Words for which plain standard English has a better one. */
const AVOIDED = /\b(nobody|whoever|anew|so many|signs? of life|rooms|walls)\b/i;
const PLACES = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs', 'examples', 'bench', 'test-broker/README.md'],
  ...[
    'admin',
    'async',
    'collections',
    'consumer',
    'envelope',
    'errors',
    'nats',
    'options',
    'publish',
    'subscribe',
    'transport',
  ].map((folder) => `src/${folder}`),
  'test-broker/src',
];

function textsIn(place: string): string[] {
  if (statSync(place).isFile()) return [place];
  const names = readdirSync(place, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.(md|ts)$/.test(name)).map((name) => join(place, name));
}

describe('documents, examples and comments', () => {
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
