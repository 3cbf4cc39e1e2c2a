import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The configuration of every run of the tests. */
export const base = defineConfig({
  resolve: {
    // Tests run on the sources of both packages: nothing has to be built first.
    alias: [
      { find: /^liftbridge-client$/, replacement: here('./src/index.ts') },
      { find: /^liftbridge-client\/(envelope|nats|protocol)$/, replacement: here('./src/$1.ts') },
      { find: /^liftbridge-test-broker$/, replacement: here('./test-broker/src/index.ts') },
    ],
  },
  test: {
    globalSetup: ['test/support/run-directory.ts'],
    setupFiles: ['test/support/setup.ts'],
    // Bounds against a hang, never a measure: tests wait for conditions. A failed test is not tried again.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { interval: 5, timeout: 60_000 } },
    coverage: {
      provider: 'v8',
      include: ['src/**', 'test-broker/src/**'],
      exclude: ['src/protocol/generated/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
