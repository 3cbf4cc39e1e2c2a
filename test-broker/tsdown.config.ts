import { defineConfig } from 'tsdown';

export default defineConfig([
  {
    entry: ['src/index.ts', 'src/cli.ts'],
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    dts: true,
    sourcemap: false,
    fixedExtension: false,
    clean: true,
    // Everything it needs is among its dependencies: nothing is bundled, the wire codecs exist once.
    deps: { onlyBundle: [] },
  },
  {
    entry: ['src/index.ts'],
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    dts: true,
    sourcemap: false,
    fixedExtension: false,
    clean: false,
    deps: { onlyBundle: [] },
  },
]);
