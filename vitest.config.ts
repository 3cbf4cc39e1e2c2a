import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Files that take longest, in any order. Begun last, one of them would run alone at the end. */
const LONG = [
  'test/examples/examples',
  'test/packaging/pack',
  'hostile-arguments',
  'test/integration/hostile-servers',
  'test/docs/reference',
  'test/integration/subscribe-faults',
  'test/integration/consumer-limits',
  'test/integration/consumer-failures',
  'test/integration/publish-recovery',
  'test-broker/test/conformance',
  'test-broker/test/cli.',
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => (LONG.some((part) => moduleId.includes(part)) ? 0 : 1);
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  resolve: {
    // Tests run on the sources of both packages: nothing has to be built first.
    alias: [
      { find: /^liftbridge-client$/, replacement: here('./src/index.ts') },
      { find: /^liftbridge-client\/(envelope|nats|protocol)$/, replacement: here('./src/$1.ts') },
      { find: /^liftbridge-test-broker$/, replacement: here('./test-broker/src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'test-broker/test/**/*.test.ts'],
    globalSetup: ['test/support/run-directory.ts'],
    setupFiles: ['test/support/late-rejections.ts'],
    // Bounds against a hang, never a measure: tests wait for conditions. A failed test is not tried again.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { interval: 5, timeout: 60_000 } },
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    coverage: {
      provider: 'v8',
      include: ['src/**', 'test-broker/src/**'],
      exclude: ['src/protocol/generated/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
