import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { base } from './vitest.base.js';

/** One change of one source, as scripts/mutation/run.mjs hands it over. */
interface Mutant {
  /** From the root folder. */
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const given = process.env.MUTANT;
const mutant = given === undefined ? null : (JSON.parse(given) as Mutant);
const root = fileURLToPath(new URL('.', import.meta.url));

/** Unit tests first: most mutants need no others. */
class UnitFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => (moduleId.includes('/test/unit/') ? 0 : 1);
    return files.toSorted((a, b) => rank(a) - rank(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default mergeConfig(
  base,
  defineConfig({
    plugins: [
      {
        name: 'mutant',
        enforce: 'pre',
        load(id) {
          if (mutant === null || id.split('?')[0] !== root + mutant.path) return null;
          const code = readFileSync(root + mutant.path, 'utf8');
          return code.slice(0, mutant.start) + mutant.replacement + code.slice(mutant.end);
        },
      },
    ],
    test: {
      include: ['test/**/*.test.ts', 'test-broker/test/**/*.test.ts'],
      // Shorter than usual: a mutant that makes a test hang is noticed.
      testTimeout: 30_000,
      hookTimeout: 30_000,
      expect: { poll: { timeout: 25_000 } },
      maxWorkers: 1,
      bail: 1,
      reporters: ['dot'],
      sequence: { sequencer: UnitFirst },
    },
  }),
);
