import { defineConfig } from 'tsdown';

export default defineConfig({
  entry: ['src/index.ts', 'src/envelope.ts', 'src/nats.ts', 'src/protocol.ts'],
  format: ['esm', 'cjs'],
  platform: 'node',
  target: 'node20.19',
  dts: true,
  sourcemap: false,
  fixedExtension: false,
  // ESM-only packages are bundled, so that CommonJS users (Jest among them) can load ours.
  noExternal: ['p-retry', 'is-network-error'],
});
