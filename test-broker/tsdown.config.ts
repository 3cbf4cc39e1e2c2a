import { defineConfig } from 'tsdown';

export default defineConfig({
  cwd: 'test-broker',
  entry: ['src/index.ts', 'src/cli.ts'],
  format: ['esm', 'cjs'],
  platform: 'node',
  target: 'node20.19',
  dts: true,
  sourcemap: false,
  fixedExtension: false,
  external: [/^liftbridge-client/, 'nats'],
});
