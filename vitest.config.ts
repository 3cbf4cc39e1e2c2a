import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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
    testTimeout: 20_000,
    hookTimeout: 20_000,
    maxWorkers: 2,
    // Real sockets and real time on a machine that may be starved: a second try is reported as flaky, a second failure fails.
    retry: process.env.CI ? 1 : 0,
  },
});
